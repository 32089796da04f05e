//! A dry run that means it, at four levels: the files alone, the live catalogue, a traced run on a clone, a rehearsal there and
//! back with rows, by the down files and by what was recorded. Each level says what it found and what it did not prove. The database that will be migrated is only ever
//! read, in transactions that its server keeps read-only, and its catalogue is compared before and after.

mod clone;
mod demands;
mod gate;
mod inner;
mod legs;
mod live;
mod measure;
mod parsed;
mod record;
mod recorded;
mod rehearse;
mod report;
mod states;
mod verdict;
mod words;

pub use clone::{Ground, Wanted};
pub use gate::{demanded, standings, unchanged};
pub use live::live;
pub(crate) use measure::Measure;
pub use parsed::{parsed, unparsed};
pub use record::{Mark, Passed, Record, Standing};
pub use recorded::{Inverse, Undone, inverses};
pub use rehearse::{Rehearsal, rehearse, trace};
pub use report::{DryRun, Finding, Level, Size, Traced, Weight};
pub use words::lines;
