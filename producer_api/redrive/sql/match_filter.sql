-- What a dead letter d must match. $1 kind, $2 token, $3 job, $4 since, $5 until, $6 text, $7 record ids, $8 redrives.
    ($1::text IS NULL OR d.error_kind = $1)
    AND ($2::text IS NULL OR d.token = $2)
    AND ($3::uuid IS NULL OR d.job_id = $3)
    AND ($4::timestamptz IS NULL OR d.dead_lettered_at >= $4)
    AND ($5::timestamptz IS NULL OR d.dead_lettered_at < $5)
    AND ($6::text IS NULL OR position(lower($6) IN lower(d.error_message)) > 0)
    AND ($7::uuid[] IS NULL OR d.record_id = ANY($7))
    AND ($8::int IS NULL OR d.redrive_count = $8)
