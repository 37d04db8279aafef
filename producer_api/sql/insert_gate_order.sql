-- Gives an order to every worker. Not idempotent, and harmless when repeated: a gate that is closed stays closed, an open one
-- open. $1: provider, $2: gate, $3: open or close, $4: why, $5: who.
INSERT INTO gate_orders (provider, gate, action, why, who) VALUES ($1, $2, $3, $4, $5) RETURNING id
