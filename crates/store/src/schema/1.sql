CREATE TABLE counter (id {int} PRIMARY KEY, value {int} NOT NULL) {plain};
INSERT INTO counter (id, value) VALUES (0, 0);

CREATE TABLE players (
    uid {int} PRIMARY KEY,
    epoch {int} NOT NULL,
    version {int} NOT NULL,
    owner {int},
    head {int} NOT NULL,
    document {bytes} NOT NULL,
    sum {int} NOT NULL
) {plain};

CREATE TABLE history (
    uid {int} NOT NULL,
    slot {int} NOT NULL,
    version {int} NOT NULL,
    epoch {int} NOT NULL,
    commit_id {bytes},
    handler {text} NOT NULL,
    at_ms {int} NOT NULL,
    document {bytes} NOT NULL,
    sum {int} NOT NULL,
    PRIMARY KEY (uid, slot)
) {clustered};

CREATE TABLE notifications (
    id {bytes} PRIMARY KEY NOT NULL,
    ord {int} NOT NULL,
    step {int} NOT NULL,
    deadline_ms {int},
    head {int} NOT NULL,
    is_player {int} NOT NULL,
    sender {int} NOT NULL,
    receiver {int} NOT NULL,
    kind {text} NOT NULL,
    created_ms {int} NOT NULL,
    depth {int} NOT NULL,
    payload {bytes} NOT NULL,
    sum {int} NOT NULL,
    outcome {bytes},
    outcome_sum {int}
) {clustered};

CREATE TABLE answers (
    uid {int} NOT NULL,
    request {text} NOT NULL,
    at_ms {int} NOT NULL,
    response {bytes} NOT NULL,
    sum {int} NOT NULL,
    PRIMARY KEY (uid, request)
) {clustered};
CREATE INDEX answers_at ON answers (at_ms);

CREATE TABLE commits (
    id {bytes} PRIMARY KEY NOT NULL,
    committed {int} NOT NULL,
    at_ms {int} NOT NULL
) {clustered};
CREATE INDEX commits_at ON commits (at_ms);

CREATE TABLE pushes (
    uid {int} NOT NULL,
    sequence {int} NOT NULL,
    payload {bytes} NOT NULL,
    sum {int} NOT NULL,
    PRIMARY KEY (uid, sequence)
) {clustered};

CREATE TABLE letters (
    sequence {int} PRIMARY KEY,
    at_ms {int} NOT NULL,
    reason {text} NOT NULL,
    id {bytes} NOT NULL,
    is_player {int} NOT NULL,
    sender {int} NOT NULL,
    receiver {int} NOT NULL,
    kind {text} NOT NULL,
    payload {bytes} NOT NULL,
    deadline_in_ms {int},
    depth {int} NOT NULL,
    sum {int} NOT NULL
) {plain};
