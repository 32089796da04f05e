//! Who is in the CRM and whom Pulse knows, drawn from a seed: addresses in other case and other Unicode forms, doubles on
//! either side, profiles that no database takes. Each carries the key that its address comes down to, known from how it was
//! made and not computed from it.

use serde_json::{Value, json};

/// A small generator, so that a run is repeated by its seed alone.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64, place: u64) -> Self {
        // Both are mixed first: neighbours would else draw the same numbers, a step apart.
        let mut dice = Self(seed);
        let mixed = dice.next();
        dice.0 = mixed ^ place;
        dice.0 = dice.next();
        dice
    }

    pub(crate) fn next(&mut self) -> u64 {
        // SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

/// A contact of the CRM before the import.
#[derive(Debug, Clone)]
pub(crate) struct Here {
    pub(crate) id: String,
    pub(crate) key: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) name: String,
    pub(crate) phone: Option<String>,
    pub(crate) notes: Option<String>,
    pub(crate) giving: String,
    pub(crate) stage: &'static str,
}

/// A profile of Pulse.
#[derive(Debug, Clone)]
pub(crate) struct There {
    pub(crate) key: Option<String>,
    /// Whether the database, or the import before it, has to refuse it.
    pub(crate) bad: Option<&'static str>,
    pub(crate) json: Value,
}

/// The address of a person in the forms that people type: the key first, then others that mean the same.
fn spelled(person: u64, form: u64) -> (String, String) {
    // Every third has a letter with two Unicode forms: é composed, and e with a combining accent.
    let (key, other) = if person.is_multiple_of(3) {
        (format!("ren\u{e9}.{person}@example.org"), format!("rene\u{301}.{person}@example.org"))
    } else {
        (format!("rene.{person}@example.org"), format!("Rene.{person}@Example.org"))
    };
    let spelling = match form % 4 {
        0 => key.clone(),
        1 => other,
        2 => key.to_uppercase(),
        _ => format!(" {key} "),
    };
    (key, spelling)
}

/// The CRM's contacts: about one in fifteen without an address, every 53rd a double of the one before.
pub(crate) fn crm(seed: u64, count: u64) -> Vec<Here> {
    let one = |place: u64| {
        let mut dice = Dice::new(seed, place);
        let person = if place % 53 == 52 { place - 1 } else { place };
        let (key, email) = spelled(person, dice.below(4));
        let known = place % 53 >= 51 || dice.below(15) > 0;
        Here {
            id: format!("{:08x}-0000-4000-8000-{:012x}", dice.next() >> 32, place),
            key: known.then_some(key),
            email: known.then_some(email),
            name: format!("Contact {place}"),
            phone: (dice.below(3) > 0).then(|| format!("+1 212 555 {place:04}")),
            notes: match dice.below(4) {
                0 => Some(format!("Prefers letters, \"{place}\"")),
                1 => Some(String::new()),
                _ => None,
            },
            giving: format!("{}.{:02}", dice.below(90_000), dice.below(100)),
            stage: dice.pick(&["Prospect", "First-time", "Major Donor"]),
        }
    };
    (0..count).map(one).collect()
}

/// Pulse's profiles: two in three are the CRM's people, some come twice under other ids, every 41st is bad.
pub(crate) fn pulse(seed: u64, count: u64, crm: u64) -> Vec<There> {
    (0..count).map(|place| profile(seed, place, crm)).collect()
}

fn profile(seed: u64, place: u64, crm: u64) -> There {
    let mut dice = Dice::new(seed, place + 1_000_000_000);
    let double = place % 67 == 66;
    let of = if double { place - 1 } else { place };
    let person = if of % 3 < 2 && of / 3 * 2 + of % 3 < crm { of / 3 * 2 + of % 3 } else { 50_000_000 + of };
    let (key, email) = spelled(person, dice.below(4));
    let known = double || place % 67 == 65 || dice.below(20) > 0;
    let mut json = json!({
        "id": format!("p{:016x}", dice.next()),
        "user_id": "u1", "display_name": format!("Profile {place}"),
        "canonical_email": if known { Value::from(email) } else { Value::Null },
        "first_name": "Ren\u{e9}", "last_name": format!("of {place}"),
        "phone_number": if dice.below(3) == 0 { Value::Null } else { format!("+44 20 {place:06}").into() },
        "relationship_score": dice.below(101),
        "relationship_trend": dice.pick(&["rising", "stable", "falling", "new", "dormant"]),
        "total_interactions": dice.below(500),
        "last_interaction_date": if dice.below(4) == 0 { Value::Null } else { "2026-09-01T10:00:00.000Z".into() },
        "communication_frequency": dice.pick(&["daily", "weekly", "monthly", "quarterly", "rare"]),
        "preferred_channel": dice.pick(&["email", "slack", "phone", "meeting", "sms"]),
        "tags": [dice.pick(&["donor", "board"]), dice.pick(&["press", "board"])],
        "notes": if dice.below(2) == 0 { Value::Null } else { "Met at the gala.\nAsked about the report.".into() },
        "is_favorite": dice.below(10) == 0, "is_blocked": dice.below(30) == 0,
        "created_at": "2024-01-01T00:00:00.000Z", "updated_at": "2026-01-01T00:00:00.000Z",
        "unheard_of": {"and": ["deep", 1]},
    });
    let bad = (place % 41 == 40 && !double && place % 67 != 65).then(|| spoil(&mut json, place / 41));
    There { key: known.then_some(key), bad, json }
}

/// Makes a profile one that cannot be taken; says why in the words that have to be found.
fn spoil(json: &mut Value, way: u64) -> &'static str {
    match way % 7 {
        0 => {
            json["relationship_score"] = 140.into();
            "relationship_score"
        }
        1 => {
            json["canonical_email"] = format!("{}@example.org", "x".repeat(300)).into();
            "canonical_email"
        }
        2 => {
            json["last_interaction_date"] = "0000-01-01T00:00:00Z".into();
            "last_interaction_date"
        }
        3 => {
            json["last_interaction_date"] = "9999-12-31T23:59:59Z".into();
            "last_interaction_date"
        }
        4 => {
            json["notes"] = "a NUL \u{0} in it".into();
            "notes"
        }
        5 => {
            json["preferred_channel"] = "fax".into();
            "preferred_channel"
        }
        _ => {
            json["tags"] = json!({"not": "a list"});
            "it cannot be read"
        }
    }
}
