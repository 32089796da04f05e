//! The kill switch of the environment: a variable that the application knows as well, so that one switch stops both.
//!
//! It guarantees that it is looked for where the application's own build finds it and where this cockpit's environment has it,
//! and that a file which cannot be read switches nothing on or off.

use secrecy::ExposeSecret;

use crate::secrets::Secrets;
use crate::workers::Kit;

/// The variable.
pub(super) const SWITCH: &str = "VITE_EMERGENCY_DISABLE_PULSE_SYNC";

/// Where it is on, in words; nothing where it is off.
pub(super) fn switch(kit: &Kit) -> Option<String> {
    let on = |value: &str| matches!(value.trim().to_lowercase().as_str(), "true" | "1" | "yes" | "on");
    if kit.secret(SWITCH).is_ok_and(|value| on(value.expose_secret())) {
        return Some(format!("{SWITCH} is on in the environment of this cockpit"));
    }
    let path = kit.path(&kit.config().app.environment);
    let file = Secrets::load(&path).ok()?;
    file.secret(SWITCH)
        .is_ok_and(|value| on(value.expose_secret()))
        .then(|| format!("{SWITCH} is on in {}", path.display()))
}
