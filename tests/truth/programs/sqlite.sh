# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
ABOUT='C, the database in one file, with a small shell of our own: one big interpreter, B-trees, a generated parser'
FROM='crate libsqlite3-sys@0.39.1'

recipe_prepare() {
	cat >shell.c <<'END'
#include "sqlite3/sqlite3.h"
#include <stdio.h>
#include <stdlib.h>
static int row(void *n, int columns, char **value, char **name)
{
	(void)name;
	++*(long *)n;
	for (int i = 0; i < columns; i++)
		printf("%s%s", i ? "|" : "", value[i] ? value[i] : "");
	putchar('\n');
	return 0;
}
int main(int argc, char **argv)
{
	static char text[1 << 24];
	FILE *f = argc > 1 ? fopen(argv[1], "r") : NULL;
	char *error = NULL;
	sqlite3 *db;
	long rows = 0;
	if (!f || sqlite3_open(":memory:", &db))
		return 1;
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	if (sqlite3_exec(db, text, row, &rows, &error))
		printf("error: %s\n", error);
	printf("%ld rows\n", rows);
	return sqlite3_close(db);
}
END
}

recipe_build() {
	compile -DSQLITE_THREADSAFE=0 -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_DEFAULT_MEMSTATUS=0 -- shell.c sqlite3/sqlite3.c && link -lm
}

recipe_inputs() {
	cat >train.sql <<'END'
create table item(id integer primary key, name text, price real, kind int);
create table sale(id integer primary key, item int, n int, day int);
with recursive c(x) as (select 1 union all select x + 1 from c where x < 6000)
insert into item select x, 'item ' || (x * 7919 % 6007), (x * 31 % 997) / 7.0, x % 17 from c;
with recursive c(x) as (select 1 union all select x + 1 from c where x < 30000)
insert into sale select x, 1 + x * 7919 % 6000, x % 5 + 1, x % 365 from c;
create index sale_item on sale(item);
create index item_name on item(name);
select kind, count(*), round(sum(price * n), 2) from item join sale on sale.item = item.id group by kind order by 3 desc;
select name from item where name like 'item 59%' and price > 50 order by name limit 5;
update item set price = price * 1.1 where id in (select item from sale where day between 10 and 40);
select round(avg(price), 3), min(name), max(name) from item;
delete from sale where day % 7 = 3;
select day / 30, sum(n), count(distinct item) from sale group by 1;
END
	cat >test.sql <<'END'
create table node(id int primary key, parent int, label text) without rowid;
with recursive c(x) as (select 1 union all select x + 1 from c where x < 8000)
insert into node select x, x / 3, printf('%06x-%s', x * 2654435761 % 16777216, substr('abcdefghij', x % 9, 3)) from c;
with recursive up(id, depth) as (select id, 0 from node where id > 7000 union all
	select parent, depth + 1 from node join up using (id) where parent > 0)
select depth, count(*), count(distinct id) from up group by depth;
select substr(label, 8), count(*), group_concat(id % 10, '') from (select * from node where id < 300 order by label) group by 1;
select id, label, row_number() over (partition by parent % 5 order by label desc) r from node where id % 400 = 1 order by r, id;
select json_extract(j, '$.a[1].b'), length(j) from (select json_object('a', json_array(id, json_object('b', label))) j from node where id % 900 = 0);
with recursive f(n, a, b) as (select 1, 0, 1 union all select n + 1, b, (a + b) % 1000007 from f where n < 20000) select sum(a) from f;
select count(*) from node a join node b on a.parent = b.parent and a.label < b.label;
END
}

recipe_run() {
	local input=$1
	shift
	"$@" "$input.sql"
}
