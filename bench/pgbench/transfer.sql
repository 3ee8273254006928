-- One transfer between two accounts that are this client's alone, and what is to be told of it.
\set giver :client_id * 2
\set receiver :client_id * 2 + 1
BEGIN;
UPDATE accounts SET money = money - 500 WHERE uid = :giver AND money >= 500;
UPDATE accounts SET money = money + 500, received = received + 1 WHERE uid = :receiver;
INSERT INTO outbox (sender, receiver, kind, payload) VALUES (:giver, :receiver, 'user.giveMoney2', '\x85a566726f6d01a46b696e64b0757365722e676976654d6f6e657932a6616d6f756e74cd01f4');
COMMIT;
