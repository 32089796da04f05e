-- By its name a tool might think that this is the way back of something.
create table scrolls (id int primary key, user_id int references users (id));
