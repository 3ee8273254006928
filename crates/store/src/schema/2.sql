CREATE TABLE lease (
    id {int} PRIMARY KEY,
    term {int} NOT NULL,
    holder {int},
    incarnation {int},
    ends_ms {int} NOT NULL
) {plain};
INSERT INTO lease (id, term, ends_ms) VALUES (0, 0, 0);
