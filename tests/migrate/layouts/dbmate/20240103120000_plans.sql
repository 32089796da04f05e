-- migrate:up
create table plans (id int primary key);

-- migrate:down

