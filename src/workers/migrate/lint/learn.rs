//! Learns of a live database what the linter needs: how large each table is, how much it is used just now, what it has already,
//! how fast the server reads. In sessions that the server itself keeps read-only, each look with a time-out of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Row as _};

use super::known::{Has, Heat, Index, Knowledge, Source, Table, TableKind};
use super::work::{Rates, Size};
use crate::run::job::Failure;
use crate::workers::migrate::book::Book;
use crate::workers::migrate::database::{Database, run};
use crate::workers::migrate::deed::{Deed, Demand, actions};
use crate::workers::migrate::files::MigrationSet;
use crate::workers::migrate::names::{canonical, quoted};

/// Read at most so much to see how fast the server reads.
const SAMPLE_BYTES: u64 = 32 << 20;
/// Below this the clock is measured, not the server.
const LEAST_BYTES: u64 = 1 << 20;

/// Tables behind the written names; an index stands for its table.
const FIND: &str = "
    SELECT w.name, t.oid::bigint, t.relkind::text, format('%I.%I', n.nspname, t.relname),
           pg_relation_size(t.oid), greatest(t.reltuples::bigint, s.n_live_tup, CASE WHEN pg_relation_size(t.oid) = 0 THEN 0 END),
           n.nspname::text, t.relname::text,
           (SELECT count(*) FROM pg_policy p WHERE p.polrelid = t.oid),
           s.n_tup_ins + s.n_tup_upd + s.n_tup_del > 0 OR t.reltuples >= 0 OR pg_relation_size(t.oid) = 0
    FROM unnest($1::text[]) AS w (name)
    CROSS JOIN LATERAL (SELECT to_regclass(w.name)::oid AS oid) AS r
    LEFT JOIN pg_index i ON i.indexrelid = r.oid
    JOIN pg_class t ON t.oid = coalesce(i.indrelid, r.oid) AND t.relkind IN ('r', 'p', 'm')
    JOIN pg_namespace n ON n.oid = t.relnamespace
    LEFT JOIN pg_stat_all_tables s ON s.relid = t.oid";

/// Partitions are read and written under their own names.
const USED: &str = "
    SELECT t.oid::bigint, coalesce(sum(coalesce(s.seq_scan, 0) + coalesce(s.idx_scan, 0)), 0)::float8,
           coalesce(sum(s.n_tup_ins + s.n_tup_upd + s.n_tup_del), 0)::float8
    FROM unnest($1::bigint[]) AS t (oid)
    LEFT JOIN LATERAL (SELECT t.oid::oid AS relid UNION SELECT p.relid FROM pg_partition_tree(t.oid::oid) p) AS p ON true
    LEFT JOIN pg_stat_all_tables s ON s.relid = p.relid
    GROUP BY t.oid";

/// What each table has: columns, key, proofs, indexes.
const HAS: &str = "
    SELECT 'column', a.attrelid::bigint, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull
    FROM pg_attribute a WHERE a.attrelid = ANY ($1::bigint[]::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT 'key', i.indrelid::bigint, a.attname::text, lpad(array_position(i.indkey::int2[], a.attnum)::text, 4, '0'), true
    FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
    WHERE i.indisprimary AND i.indrelid = ANY ($1::bigint[]::oid[])
    UNION ALL
    SELECT 'proof', c.conrelid::bigint, (regexp_match(pg_get_constraintdef(c.oid), '^CHECK \\(\\(\"?([^\" ]+)\"? IS NOT NULL\\)\\)$'))[1], '', true
    FROM pg_constraint c WHERE c.contype = 'c' AND c.convalidated AND c.conrelid = ANY ($1::bigint[]::oid[])
      AND pg_get_constraintdef(c.oid) ~ '^CHECK \\(\\(\"?[^\" ]+\"? IS NOT NULL\\)\\)$'
    UNION ALL
    SELECT CASE WHEN i.indisvalid THEN 'index' ELSE 'invalid' END, i.indrelid::bigint, x.relname::text,
           regexp_replace(pg_get_indexdef(i.indexrelid), '^.*? USING ', ''), i.indisunique
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = ANY ($1::bigint[]::oid[])
    ORDER BY 1, 2, 4";

/// Looks at every table that the set names, and watches its traffic for a moment.
pub async fn learn(db: &Database, set: &MigrationSet, watch: Duration) -> Result<Knowledge, Failure> {
    let mut session = db.session("lint").await?;
    let failed = |error: sqlx::Error| db.failed(&error);
    run(
        &mut session,
        "SET default_transaction_read_only = on; SET lock_timeout = '500ms'; SET statement_timeout = '10s'",
    )
    .await
    .map_err(failed)?;
    let book = Book::read(&mut session).await.map_err(failed)?;

    let names: BTreeSet<String> = named(set);
    let names: Vec<String> = names.into_iter().collect();
    let found = sqlx::query(FIND).bind(&names).fetch_all(&mut session).await.map_err(failed)?;
    let mut oids: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    let mut places: Vec<(String, u64)> = Vec::new();
    for row in &found {
        let (key, oid, table, place) = looked(row).map_err(failed)?;
        let keys = oids.entry(oid).or_default();
        if !keys.contains(&key) {
            keys.push(key.clone());
        }
        places.extend(table.size.map(|size| (place, size.bytes)));
        tables.insert(key, table);
    }
    let numbers: Vec<i64> = oids.keys().copied().collect();
    let mut invalid = BTreeSet::new();
    let has = sqlx::query(HAS).bind(&numbers).fetch_all(&mut session).await.map_err(failed)?;
    for row in &has {
        let (kind, oid): (String, i64) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
        for key in oids.get(&oid).into_iter().flatten() {
            if let Some(table) = tables.get_mut(key) {
                put(table, key, &kind, row, &mut invalid).map_err(failed)?;
            }
        }
    }

    let watched = heats(&mut session, &numbers, watch).await.map_err(failed)?;
    for (oid, heat) in watched {
        for key in oids.get(&oid).into_iter().flatten() {
            if let Some(table) = tables.get_mut(key) {
                table.heat = Some(heat);
            }
        }
    }
    // After the traffic was watched: these are scans too.
    lacking(&mut session, set, &mut tables).await.map_err(failed)?;
    places.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let rates = match places.first() {
        Some((place, bytes)) if *bytes >= LEAST_BYTES => measured(&mut session, place, *bytes).await,
        _ => Rates::default(),
    };
    Ok(Knowledge {
        source: Some(Source {
            place: db.place().to_owned(),
            version: db.server_version(),
            watched_s: watch.as_secs_f64(),
        }),
        tables,
        applied: book.applied().into_iter().collect(),
        rates,
        invalid,
        rehearsed: BTreeMap::new(),
    })
}

/// Every name that a statement locks or refers to, as written.
fn named(set: &MigrationSet) -> BTreeSet<String> {
    let scripts = set.migrations.iter().flat_map(|one| [Some(&one.up), one.down.as_ref()]).flatten();
    let mut names = BTreeSet::new();
    for statement in scripts.flat_map(|script| &script.statements) {
        names.extend(statement.shape.needs.iter().map(|need| need.relation.to_string()));
        if let super::Kind::CreateTable { name, .. } = &statement.shape.kind {
            names.insert(name.to_string());
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn looked(row: &PgRow) -> Result<(String, i64, Table, String), sqlx::Error> {
    let (name, oid, kind, place): (String, i64, String, String) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
    let (bytes, rows): (i64, Option<i64>) = (row.try_get(4)?, row.try_get(5)?);
    let (schema, relation): (String, String) = (row.try_get(6)?, row.try_get(7)?);
    let counted: Option<bool> = row.try_get(9)?;
    let size = Size {
        rows: u64::try_from(rows.unwrap_or(0)).unwrap_or(0),
        bytes: u64::try_from(bytes).unwrap_or(0),
    };
    let partitioned = kind == "p";
    let table = Table {
        // A partitioned table has no bytes of its own, and the server may never have counted its rows.
        size: (!partitioned && counted == Some(true)).then_some(size),
        policies: row.try_get(8)?,
        kind: if partitioned { TableKind::Partitioned } else { TableKind::Plain },
        ..Table::default()
    };
    // An index was named: what is known is of its table.
    let own = canonical(&name);
    let key =
        if own.rsplit('.').next() == Some(relation.as_str()) { own } else { format!("{schema}.{relation}") };
    Ok((key, oid, table, place))
}

fn put(
    table: &mut Table,
    key: &str,
    kind: &str,
    row: &PgRow,
    invalid: &mut BTreeSet<String>,
) -> Result<(), sqlx::Error> {
    let (name, text, flag): (String, String, bool) = (row.try_get(2)?, row.try_get(3)?, row.try_get(4)?);
    match kind {
        "column" => {
            let nulls = flag.then_some(false);
            table.columns.insert(name, Has { ty: text, not_null: flag, nulls });
        }
        "key" => table.key.push(name),
        "proof" => {
            table.proven.insert(name);
        }
        "invalid" => {
            let schema = key.split('.').next().unwrap_or_default();
            invalid.insert(format!("{schema}.{name}"));
        }
        _ => {
            table.indexes.insert(name, Index { unique: flag, tail: text });
        }
    }
    Ok(())
}

/// Reads the counters twice. Each look is a transaction of its own: within one, the server shows the same figures again.
async fn heats(
    session: &mut PgConnection,
    oids: &[i64],
    watch: Duration,
) -> Result<BTreeMap<i64, Heat>, sqlx::Error> {
    let began = Instant::now();
    let before = counters(session, oids).await?;
    tokio::time::sleep(watch).await;
    let after = counters(session, oids).await?;
    let seconds = began.elapsed().as_secs_f64().max(0.001);
    let heat = |(oid, (reads, writes)): (i64, (f64, f64))| {
        let (were_reads, were_writes) = before.get(&oid).copied()?;
        // A counter that went back was reset: what was done in between is unknown.
        (reads >= were_reads && writes >= were_writes).then(|| {
            (oid, Heat { reads: (reads - were_reads) / seconds, writes: (writes - were_writes) / seconds })
        })
    };
    Ok(after.into_iter().filter_map(heat).collect())
}

async fn counters(
    session: &mut PgConnection,
    oids: &[i64],
) -> Result<BTreeMap<i64, (f64, f64)>, sqlx::Error> {
    let rows = sqlx::query(USED).bind(oids).fetch_all(session).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?)))).collect()
}

/// Whether the columns that are to become NOT NULL lack a value somewhere. What takes too long stays unknown.
async fn lacking(
    session: &mut PgConnection,
    set: &MigrationSet,
    tables: &mut BTreeMap<String, Table>,
) -> Result<(), sqlx::Error> {
    let mut asked: BTreeSet<(String, String)> = BTreeSet::new();
    for statement in set.migrations.iter().flat_map(|one| &one.up.statements) {
        let super::Kind::AlterTable { table, .. } = &statement.shape.kind else { continue };
        for action in actions(&statement.text) {
            let column = match action.deed {
                Deed::SetNotNull { column } => column,
                Deed::AddConstraint(constraint) => match constraint.kind {
                    Demand::NotNullCheck { column } => column,
                    _ => continue,
                },
                _ => continue,
            };
            asked.insert((canonical(table), column));
        }
    }
    run(session, "SET statement_timeout = '500ms'").await?;
    for (table, column) in asked {
        let Some(has) = tables.get_mut(&table).and_then(|table| table.columns.get_mut(&column)) else {
            continue;
        };
        if has.not_null {
            continue;
        }
        let name: Vec<String> = table.split('.').map(quoted).collect();
        let query =
            format!("SELECT EXISTS (SELECT FROM {} WHERE {} IS NULL)", name.join("."), quoted(&column));
        has.nulls = sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut *session).await.ok();
    }
    run(session, "SET statement_timeout = '10s'").await?;
    Ok(())
}

/// How fast this server reads pages of its largest table here. A server that refuses, or is too slow, leaves the bench's rates.
async fn measured(session: &mut PgConnection, place: &str, bytes: u64) -> Rates {
    let share = (SAMPLE_BYTES as f64 / bytes as f64 * 100.0).min(100.0);
    let query = format!("SELECT count(*) FROM {place} TABLESAMPLE SYSTEM ({share:.4})");
    let timed = async {
        run(session, "SET statement_timeout = '2s'").await?;
        let began = Instant::now();
        run(session, "SELECT 1").await?;
        let round = began.elapsed();
        let began = Instant::now();
        run(session, &query).await?;
        Ok::<_, sqlx::Error>(began.elapsed().saturating_sub(round))
    };
    match timed.await {
        Ok(took) => {
            let read = (bytes as f64 * share / 100.0).round();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of a u64, and positive"
            )]
            Rates::measured(read as u64, took.as_secs_f64() * 1000.0)
        }
        Err(error) => {
            tracing::debug!(%error, "the read rate could not be measured");
            Rates::default()
        }
    }
}
