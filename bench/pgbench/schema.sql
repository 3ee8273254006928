-- Accounts with more money than a run can move, and an outbox for whoever is to be told. As a team would have it that
-- knows PostgreSQL: room on each page for the next version of a row, and autovacuum at work.
CREATE TABLE accounts (
    uid bigint PRIMARY KEY,
    money bigint NOT NULL,
    received bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sender bigint NOT NULL,
    receiver bigint NOT NULL,
    kind text NOT NULL,
    payload bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO accounts (uid, money) SELECT uid, 1::bigint << 50 FROM generate_series(0, :accounts - 1) AS uid;
VACUUM ANALYZE;
