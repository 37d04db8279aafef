-- One operation. Reads only. $1: id.
SELECT *, lease_until > clock_timestamp() AS held FROM operations WHERE id = $1
