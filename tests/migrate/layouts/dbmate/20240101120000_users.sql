-- migrate:up
create table users (id int primary key, email text);

-- migrate:down
drop table users;
