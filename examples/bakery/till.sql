-- What the till's own program would do: the order and the event about it in one transaction.
create table if not exists orders (id text primary key, total integer not null);
create table if not exists outbox (
  seq           integer primary key autoincrement,     -- the order of commits
  id            text not null unique,
  aggregatetype text not null,
  aggregateid   text not null,
  type          text not null,
  payload       text not null
);

begin;
insert into orders values ('o1', 1150);
insert into outbox (id, aggregatetype, aggregateid, type, payload) values
  ('e1', 'order', 'o1', 'OrderPlaced', '{"items":[{"sku":"rye","n":2},{"sku":"bun","n":12}]}');
commit;

begin;
update orders set total = 0 where id = 'o1';
insert into outbox (id, aggregatetype, aggregateid, type, payload) values
  ('e2', 'order', 'o1', 'OrderCancelled', '{"why":"rain"}');
commit;
