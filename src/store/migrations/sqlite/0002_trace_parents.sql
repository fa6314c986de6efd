-- Which call made a request, and which one claimed it: W3C's `traceparent`, so that later work on the
-- row can name the traces that it goes back to. It decides nothing.

alter table withdraws add column trace_parent text
    constraint withdraws_trace_parent_is_whole check (length(trace_parent) = 55);
alter table payments add column trace_parent text
    constraint payments_trace_parent_is_whole check (length(trace_parent) = 55);
