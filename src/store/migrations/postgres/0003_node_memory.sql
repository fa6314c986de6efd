-- Whether the node, when it last spoke, still knew the newest payment that it was seen to know. One that
-- does not was restored or wiped, and nothing is accepted that it could not be trusted to pay once.

alter table nodes add column remembers boolean not null default true;
