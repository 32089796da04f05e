create table public.undo (id bigint primary key, what text not null);
