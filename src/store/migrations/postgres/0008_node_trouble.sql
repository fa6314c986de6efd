-- What keeps the node's word from us, or what its credentials do not permit: one row while there is
-- something, so that processes without credentials halt and tell of it too. Not a column of nodes: on a
-- first start no node has said who it is.

create table node_trouble (
    only_row boolean not null primary key check (only_row),
    kind     text    not null,
    -- HOST:PORT or a call; empty where neither says more.
    subject  text    not null,
    at_ms    bigint  not null
);
