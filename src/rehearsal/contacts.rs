//! The people of a rehearsal: who they are, and what the CRM holds on them before the migration.
//!
//! It guarantees that the same seed and index give the same person in every process and on every machine, so that the
//! stand-in of Pulse and the scratch database agree on who is who without talking to each other. Nobody here exists: names
//! are made of syllables and all addresses are under `example.org`. Clocks and randomness of the system may not enter.

use chrono::{DateTime, Days, TimeDelta, Utc};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

/// A person, as they are; what a system holds on them may be less, or older.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The person's number, from 0.
    pub index: u32,
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// Both, as shown.
    pub name: String,
    /// The address they read, in lower case. No two persons of one seed share it.
    pub email: String,
    /// In the national form of the fictional 555 exchange.
    pub phone: String,
    /// Where they work.
    pub company: String,
}

/// A row of `contacts` before the migration: one person as the CRM has come to hold them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The row's key.
    pub id: Uuid,
    /// Whom it is about.
    pub person: Person,
    /// As typed: in any case, empty, or never given.
    pub email: Option<String>,
    /// Sum of all gifts, in cents.
    pub giving_cents: Option<i64>,
    /// Days since the last gift, where there was one.
    pub last_gift_days: Option<u32>,
    /// The stage in the donor's life.
    pub donor_stage: Option<&'static str>,
    /// low, medium or high.
    pub engagement_score: &'static str,
    /// What somebody wrote down.
    pub notes: Option<String>,
    /// `individual` or `organization_contact`.
    pub kind: &'static str,
}

/// What was put into the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seeded {
    /// Rows of `contacts`.
    pub contacts: u64,
    /// Rows of `organizations`.
    pub organizations: u64,
    /// All gifts together, in cents.
    pub giving_cents: i64,
}

const SYLLABLES: [&str; 24] = [
    "ba", "den", "fi", "gor", "hal", "jo", "kem", "lu", "mi", "nor", "pa", "quin", "ro", "sel", "tam", "ul",
    "ven", "wix", "yar", "zo", "bri", "cla", "dro", "ste",
];
const FAR_SYLLABLES: [&str; 8] = ["ñi", "ør", "žo", "łu", "éa", "ßen", "ひな", "李"];
const STAGES: [&str; 5] = ["Prospect", "First-Time Donor", "Repeat Donor", "Major Donor", "Lapsed"];
const CITIES: [(&str, &str); 6] = [
    ("Northford", "NY"),
    ("Eastmere", "NJ"),
    ("Lakeside", "CT"),
    ("Old Harbor", "MA"),
    ("St. Brann's", "PA"),
    ("Überdorf", "VT"),
];
const PREFERRED: [Option<&str>; 5] = [Some("email"), Some("phone"), Some("text"), Some("mail"), None];

/// `SplitMix64`: a few lines, the same everywhere, and good enough to look like people.
struct Dice(u64);

impl Dice {
    fn new(seed: u64, index: u32, purpose: u64) -> Self {
        let mut dice = Self(seed ^ purpose.wrapping_mul(0xA24B_AED4_963E_E407));
        dice.0 = dice.next().wrapping_add(u64::from(index));
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.next() % u64::from(bound)).expect("less than a u32")
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(u32::try_from(from.len()).expect("short lists")) as usize]
    }

    fn uuid(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.next().to_be_bytes());
        bytes[8..].copy_from_slice(&self.next().to_be_bytes());
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    fn word(&mut self, syllables: u32, far: bool) -> String {
        let mut word: String = (0..syllables).map(|_| self.pick(&SYLLABLES)).collect();
        if far {
            word.push_str(self.pick(&FAR_SYLLABLES));
        }
        let mut letters = word.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
    }
}

/// The person of this number.
pub fn person(seed: u64, index: u32) -> Person {
    let mut dice = Dice::new(seed, index, 1);
    let far = dice.below(12) == 0;
    let first_name = dice.word(2, far);
    let last_name = if dice.below(40) == 0 {
        format!("{}-O'{}", dice.word(1, false), dice.word(2, far))
    } else {
        dice.word(2 + index % 2, far)
    };
    let ascii =
        |name: &str| name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    // The number keeps addresses apart where syllables meet again.
    let email = format!("{}.{}.{index}@example.org", ascii(&first_name), ascii(&last_name));
    Person {
        index,
        name: format!("{first_name} {last_name}"),
        first_name,
        last_name,
        email,
        phone: format!("+1 {:03} 555 {:04}", 200 + dice.below(700), dice.below(10_000)),
        company: format!(
            "{} {}",
            dice.word(2, false),
            dice.pick(&["Works", "Foundation", "& Daughters", "Trust"])
        ),
    }
}

/// How often a card is there twice in a CRM that nobody tidied up.
pub const TWICE_EVERY: u32 = 97;

/// The contact of this number, before the migration, in a CRM that nobody tidied up: every [`TWICE_EVERY`]th card is there
/// twice.
pub fn contact(seed: u64, index: u32) -> Contact {
    card(seed, index, Some(TWICE_EVERY))
}

/// The contact of this number, before the migration.
///
/// Each `twice_every`th is the one before once more, with the address in capitals, as happens when two people type in the
/// same card; about one in fifteen has no address, and some have an empty one.
pub fn card(seed: u64, index: u32, twice_every: Option<u32>) -> Contact {
    let mut dice = Dice::new(seed, index, 2);
    let twice = twice_every.is_some_and(|every| every > 1 && index % every == every - 1);
    let person = person(seed, if twice { index - 1 } else { index });
    let email = match dice.below(60) {
        _ if twice => Some(person.email.to_uppercase()),
        0..=3 => None,
        4 => Some(String::new()),
        5..=9 => Some(capitalised(&person.email)),
        _ => Some(person.email.clone()),
    };
    let gifts = dice.below(10);
    let giving_cents = match gifts {
        0..=4 => Some(0),
        5 => None,
        6..=8 => Some(i64::from(500 + dice.below(250_000))),
        _ => Some(i64::from(250_000 + dice.below(90_000_000))),
    };
    let gave = giving_cents.unwrap_or_default() > 0;
    let donor_stage = match (gifts, dice.below(30)) {
        (_, 0) => None,
        (0..=5, _) => Some(STAGES[0]),
        (9, _) => Some(STAGES[3]),
        _ => Some(dice.pick(&[STAGES[1], STAGES[2], STAGES[2], STAGES[4]])),
    };
    Contact {
        id: dice.uuid(),
        email,
        giving_cents,
        last_gift_days: gave.then(|| dice.below(2_500)),
        donor_stage,
        engagement_score: match gifts {
            0..=5 => "low",
            6..=8 => "medium",
            _ => "high",
        },
        notes: match dice.below(8) {
            0 => Some(format!("Met at the {} dinner; \"call back\",\nnot before 10", person.company)),
            1 => Some("Prefers letters.\tNo calls.".into()),
            2 => Some(String::new()),
            _ => None,
        },
        kind: if dice.below(7) == 0 { "organization_contact" } else { "individual" },
        person,
    }
}

fn capitalised(email: &str) -> String {
    email
        .split('.')
        .map(|part| {
            let mut letters = part.chars();
            letters
                .next()
                .map(|first| first.to_uppercase().chain(letters).collect::<String>())
                .unwrap_or_default()
        })
        .collect::<Vec<_>>()
        .join(".")
}

/// Fills `contacts` with people of whom some are there twice ([`TWICE_EVERY`]).
pub async fn seed(
    connection: &mut PgConnection,
    seed: u64,
    count: u32,
    now: DateTime<Utc>,
) -> Result<Seeded, sqlx::Error> {
    fill(connection, seed, count, Some(TWICE_EVERY), now).await
}

/// Fills `contacts`, and organizations that refer to them, in one transaction: all of it is there, or nothing.
pub async fn fill(
    connection: &mut PgConnection,
    seed: u64,
    count: u32,
    twice_every: Option<u32>,
    now: DateTime<Utc>,
) -> Result<Seeded, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let mut giving_cents = 0;
    let mut copy = transaction.copy_in_raw(COPY).await?;
    let mut rows = String::new();
    for index in 0..count {
        let contact = card(seed, index, twice_every);
        giving_cents += contact.giving_cents.unwrap_or_default();
        write_row(&mut rows, &contact, seed, now);
        if rows.len() > 64 * 1024 || index + 1 == count {
            copy.send(rows.as_bytes()).await?;
            rows.clear();
        }
    }
    let contacts = copy.finish().await?;
    let organizations =
        sqlx::query(ORGANIZATIONS).bind(now).execute(&mut *transaction).await?.rows_affected();
    sqlx::query(MEMBERS).bind(now).execute(&mut *transaction).await?;
    transaction.commit().await?;
    // Statistics: the forecast of the migration reads them.
    sqlx::raw_sql(
        "ANALYZE public.contacts; ANALYZE public.organizations; ANALYZE public.organization_contacts",
    )
    .execute(connection)
    .await?;
    Ok(Seeded { contacts, organizations, giving_cents })
}

const COPY: &str = "COPY public.contacts (id, first_name, last_name, name, email, phone, address, city, state, zip_code, type, \
     engagement_score, donor_stage, total_lifetime_giving, last_gift_date, notes, preferred_contact_method, do_not_email, \
     do_not_call, email_opt_in, newsletter_subscriber, is_active, created_at, updated_at) FROM STDIN WITH (FORMAT csv)";

/// One organization for every twenty of its people, known by its primary contact.
const ORGANIZATIONS: &str = "INSERT INTO public.organizations (id, name, primary_contact_id, created_at, updated_at) \
     SELECT md5(id::text)::uuid, last_name || ' Trust', id, $1, $1 \
     FROM (SELECT id, last_name, row_number() OVER (ORDER BY id) AS n FROM public.contacts WHERE type = 'organization_contact') p \
     WHERE n % 20 = 1";

const MEMBERS: &str = "INSERT INTO public.organization_contacts (organization_id, contact_id, role, created_at) \
     SELECT o.id, p.id, CASE WHEN p.id = o.primary_contact_id THEN 'primary' ELSE 'member' END, $1 \
     FROM (SELECT id, (row_number() OVER (ORDER BY id) - 1) / 20 AS team FROM public.contacts WHERE type = 'organization_contact') p \
     JOIN (SELECT id, primary_contact_id, row_number() OVER (ORDER BY primary_contact_id) - 1 AS team FROM public.organizations) o \
     USING (team)";

/// A line of CSV. NULL is nothing between commas, which the empty text, in quotes, is not.
fn write_row(rows: &mut String, contact: &Contact, seed: u64, now: DateTime<Utc>) {
    let mut dice = Dice::new(seed, contact.person.index, 3);
    let (city, state) = dice.pick(&CITIES);
    let created = now - TimeDelta::hours(i64::from(dice.below(40_000)));
    let updated = created + (now - created) / 3;
    let last_gift = contact
        .last_gift_days
        .and_then(|days| now.date_naive().checked_sub_days(Days::new(days.into())))
        .map(|date| date.to_string());
    let giving = contact.giving_cents.map(|cents| format!("{}.{:02}", cents / 100, cents % 100));
    let id = contact.id.to_string();
    let address = format!("{} {} Lane", 1 + dice.below(900), dice.word(2, false));
    let zip = format!("{:05}", dice.below(100_000));
    let mut flag = |one_in: u32| Some(if dice.below(one_in) == 0 { "true" } else { "false" });
    let (no_mail, no_call, opt_out, newsletter, inactive) = (flag(20), flag(15), flag(10), flag(4), flag(25));
    let not = |flag: Option<&'static str>| Some(if flag == Some("true") { "false" } else { "true" });
    let (opt_in, active) = (not(opt_out), not(inactive));
    let preferred = dice.pick(&PREFERRED);
    let (created, updated) = (created.to_rfc3339(), updated.to_rfc3339());
    let person = &contact.person;
    let fields: [Option<&str>; 24] = [
        Some(&id),
        Some(&person.first_name),
        Some(&person.last_name),
        Some(&person.name),
        contact.email.as_deref(),
        Some(&person.phone),
        Some(&address),
        Some(city),
        Some(state),
        Some(&zip),
        Some(contact.kind),
        Some(contact.engagement_score),
        contact.donor_stage,
        giving.as_deref(),
        last_gift.as_deref(),
        contact.notes.as_deref(),
        preferred,
        no_mail,
        no_call,
        opt_in,
        newsletter,
        active,
        Some(&created),
        Some(&updated),
    ];
    for (n, field) in fields.into_iter().enumerate() {
        if n > 0 {
            rows.push(',');
        }
        if let Some(text) = field {
            rows.push('"');
            rows.push_str(&text.replace('"', "\"\""));
            rows.push('"');
        }
    }
    rows.push('\n');
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_same_number_is_the_same_person_for_ever() {
        let first = person(7, 0);
        assert_eq!(first, person(7, 0));
        assert_ne!(first.email, person(8, 0).email);
        // Written down, so that a change of the generator shows: stored rehearsals and stand-ins must still agree.
        assert_eq!(first.email, PERSON_0_OF_SEED_7);
    }

    const PERSON_0_OF_SEED_7: &str = "denpa.tamquin.0@example.org";

    #[test]
    fn no_two_persons_share_an_address_and_all_are_lower_case_example_org() {
        let emails: HashSet<String> = (0..20_000).map(|index| person(1, index).email).collect();
        assert_eq!(emails.len(), 20_000);
        assert!(emails.iter().all(|email| email.ends_with("@example.org") && *email == email.to_lowercase()));
    }

    #[test]
    fn the_awkward_ones_are_among_them() {
        let contacts: Vec<Contact> = (0..3_000).map(|index| contact(1, index)).collect();
        let some =
            |wanted: &dyn Fn(&Contact) -> bool| contacts.iter().filter(|contact| wanted(contact)).count();
        assert!(some(&|c| c.email.is_none()) > 50);
        assert!(some(&|c| c.email.as_deref() == Some("")) > 10);
        assert!(some(&|c| !c.person.name.is_ascii()) > 100);
        assert!(some(&|c| c.donor_stage.is_none()) > 30);
        assert!(some(&|c| c.giving_cents.is_none()) > 100);
        assert!(some(&|c| c.notes.as_deref().is_some_and(|notes| notes.contains(['\n', '"', '\t']))) > 100);
        let mut seen = HashSet::new();
        let doubled = contacts
            .iter()
            .filter_map(|contact| contact.email.as_deref().filter(|email| !email.is_empty()))
            .filter(|email| !seen.insert(email.to_lowercase()))
            .count();
        assert!((20..=31).contains(&doubled), "{doubled} addresses occur twice");
        seen.clear();
        let tidy: Vec<Contact> = (0..3_000).map(|index| card(1, index, None)).collect();
        let addresses =
            tidy.iter().filter_map(|contact| contact.email.as_deref().filter(|email| !email.is_empty()));
        assert!(addresses.map(str::to_lowercase).all(|email| seen.insert(email)), "nobody is there twice");
        let ids: HashSet<Uuid> = contacts.iter().map(|contact| contact.id).collect();
        assert_eq!(ids.len(), contacts.len());
    }

    #[test]
    fn fits_the_columns_it_goes_into() {
        for index in 0..20_000 {
            let contact = contact(3, index);
            assert!(contact.person.first_name.chars().count() <= 100 && contact.person.phone.len() <= 50);
            assert!(contact.giving_cents.unwrap_or_default() < 1_000_000_000_000);
        }
    }
}
