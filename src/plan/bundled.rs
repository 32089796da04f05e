//! What ships inside the binary, so that an installed gonogo can rehearse anywhere: the Contacts Redesign's checklist,
//! its gonogo.toml and its migrations.

macro_rules! migrations {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("../../migrations/", $file)))),*]
    };
}

/// The runbook of the Contacts Redesign.
pub const CHECKLIST: &str = include_str!("../../checklists/contacts-redesign.md");

/// The gonogo.toml that goes with it.
pub const CONFIG: &str = include_str!("../../checklists/contacts-redesign.toml");

/// The migrations, by file name, in the order of their names.
pub const MIGRATIONS: &[(&str, &str)] = migrations![
    "001_contacts_pulse_integration.check.sql",
    "001_contacts_pulse_integration.down.sql",
    "001_contacts_pulse_integration.up.sql",
    "002_pulse_interactions.check.sql",
    "002_pulse_interactions.down.sql",
    "002_pulse_interactions.up.sql",
    "003_entity_mappings.check.sql",
    "003_entity_mappings.down.sql",
    "003_entity_mappings.up.sql",
];

/// The names under which problems in them would be said.
pub const CHECKLIST_NAME: &str = "contacts-redesign.md";
/// The name of the configuration.
pub const CONFIG_NAME: &str = "contacts-redesign.toml";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::checklist::read::read;
    use super::super::schedule::schedule;
    use super::super::{Action, Check, Checklist, Config, Item, Phase, PhaseKind, Role};
    use super::*;

    fn checklist() -> Checklist {
        read(CHECKLIST, CHECKLIST_NAME).unwrap()
    }

    fn items(list: &Checklist) -> impl Iterator<Item = &Item> {
        list.phases.iter().flat_map(Phase::items)
    }

    #[test]
    fn every_migration_of_the_directory_ships() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let mut there: Vec<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        there.sort_unstable();
        assert_eq!(MIGRATIONS.iter().map(|(name, _)| *name).collect::<Vec<_>>(), there);
    }

    #[test]
    fn the_runbook_is_whole() {
        let list = checklist();
        let kinds: Vec<PhaseKind> = list.phases.iter().map(|phase| phase.kind).collect();
        let mut expected = vec![PhaseKind::Preparation];
        expected.extend((1..=6).map(PhaseKind::Numbered));
        expected.push(PhaseKind::AfterCare);
        assert_eq!(kinds, expected);
        let count = items(&list).count();
        assert!((120..=160).contains(&count), "{count} items");
        assert!(items(&list).all(|item| item.owner.is_some()), "each item has an owner");
        let readings = items(&list.clone())
            .filter(|item| {
                matches!(&item.check, Some(Check::Metric { name }) if name == "error_rate")
                    && item.due.is_some()
            })
            .count();
        assert_eq!(readings, 8);
    }

    #[test]
    fn every_action_of_the_day_is_in_it_and_in_order() {
        let list = checklist();
        let mut seen: BTreeMap<u8, Vec<&Action>> = BTreeMap::new();
        for phase in &list.phases {
            if let Some(number) = phase.number() {
                seen.entry(number).or_default().extend(phase.items().filter_map(|item| item.action.as_ref()));
            }
        }
        let first = |wanted: fn(&Action) -> bool| seen[&1].iter().position(|action| wanted(action)).unwrap();
        assert!(
            first(|action| matches!(action, Action::Backup))
                < first(|action| matches!(action, Action::Migrate { .. })),
            "the backup comes before any migration"
        );
        let up_to: Vec<_> = seen[&1]
            .iter()
            .filter_map(|a| match a {
                Action::Migrate { to } => *to,
                _ => None,
            })
            .collect();
        assert_eq!(up_to, [1, 2, 3]);
        assert!(seen[&2].iter().any(|action| matches!(action, Action::Deploy)));
        assert!(seen[&4].iter().any(|action| matches!(action, Action::Import)));
        assert!(seen[&4].iter().any(|action| matches!(action, Action::Sync)));
        let shares: Vec<_> = seen[&6]
            .iter()
            .filter_map(|a| match a {
                Action::Rollout { share } => Some(*share),
                _ => None,
            })
            .collect();
        assert_eq!(shares, [10, 50, 100]);
    }

    #[test]
    fn two_people_sign_where_the_plan_says_so_and_four_roles_at_the_end() {
        let list = checklist();
        let by_two = list.phases.iter().flat_map(Phase::gates).filter(|gate| gate.people >= 2).count();
        assert!(by_two >= 2, "{by_two}");
        let last = list.phases.last().unwrap().gates().last().unwrap();
        assert_eq!(last.roles, [Role::Lead, Role::Devops, Role::ProductOwner, Role::Cto]);
    }

    #[test]
    fn it_fits_its_configuration_and_the_day() {
        let config = Config::parse(CONFIG, CONFIG_NAME).unwrap();
        assert_eq!(config.cross_check(&checklist(), CHECKLIST_NAME), []);
        assert_eq!(
            Config::default().cross_check(&checklist(), CHECKLIST_NAME),
            [],
            "it runs without one too"
        );
        let plan = config.plan(checklist());
        let schedule = schedule(&plan, "2026-09-21".parse().unwrap());
        let clock =
            |at: chrono::DateTime<chrono::Utc>| at.with_timezone(&plan.timezone).format("%H:%M").to_string();
        let starts: Vec<String> = schedule.slots.iter().map(|slot| clock(slot.starts)).collect();
        assert_eq!(starts, ["10:00", "10:30", "10:45", "11:00", "11:30", "13:30"]);
        assert_eq!(
            schedule.floats().map(|(_, float)| float.num_minutes()).collect::<Vec<_>>(),
            [10, 0, 5, 10, 0]
        );
    }
}
