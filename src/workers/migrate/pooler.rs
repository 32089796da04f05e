//! Is there a pooler between, that hands one session of the server to several clients? Locks and settings would be lost between two
//! statements, and with them every promise made here. Asked in the one way that no pooler can hide: two clients at once, and whose
//! server process each of them meets.

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::database::Database;
use crate::run::job::Failure;

/// Turns that the two clients take; a pooler that is busy may keep them apart for one.
const TURNS: usize = 3;

/// Refuses a pooler of transactions or statements. One of sessions passes.
pub(crate) async fn refused(db: &Database, session: &mut PgConnection) -> Result<(), Failure> {
    let mut other = db.session("look twice").await?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        ours.push(pid(session).await.map_err(|error| db.failed(&error))?);
        theirs.push(pid(&mut other).await.map_err(|error| db.failed(&error))?);
    }
    let one = |pids: &[i32]| pids.windows(2).all(|pair| pair.first() == pair.last());
    let found = if !one(&ours) || !one(&theirs) {
        "statements of one client met several server processes"
    } else if ours.first() == theirs.first() {
        "two clients shared one server process"
    } else {
        return Ok(());
    };
    Err(Failure {
        what: format!("{}: {found}, so there is a transaction pooler between", db.place()),
        state: "nothing was run".into(),
        next: "use the direct address of the server, or the pooler in session mode (Supabase: port 5432)"
            .into(),
    })
}

async fn pid(session: &mut PgConnection) -> Result<i32, sqlx::Error> {
    // A simple query: a prepared one would fail behind some poolers before it could tell.
    sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(session).await?.try_get(0)
}
