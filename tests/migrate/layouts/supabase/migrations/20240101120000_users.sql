create table public.users (id uuid primary key default gen_random_uuid(), email text);
alter table public.users enable row level security;
create policy "Users see themselves." on public.users for select using (true);
