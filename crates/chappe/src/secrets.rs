//! The cluster's own secrets, from the environment and the files that deploy.json names.

use crate::exit::CommandError;
use chappe_deploy::{Deploy, DeployErrors, FoundSecrets, SecretOf, Warning};
use chappe_wire::secret::Secrets;

/// What nodes and tools of the cluster prove to each other that they know.
///
/// # Errors
/// As [`Deploy::secrets`].
pub(crate) fn of_cluster(deploy: &Deploy) -> Result<Secrets, CommandError> {
    Ok(find(deploy, SecretOf::Cluster)?.secrets)
}

/// What requests to the master's HTTP port must show.
///
/// # Errors
/// As [`Deploy::secrets`].
pub(crate) fn of_control(deploy: &Deploy) -> Result<Secrets, CommandError> {
    Ok(find(deploy, SecretOf::Control)?.secrets)
}

/// Looks at the secrets, those of the control port only where a master `runs_here`: what is odd about their files.
///
/// # Errors
/// All that is wrong with them; a control port that would be open to the world.
pub(crate) fn check(deploy: &Deploy, runs_here: bool) -> Result<Vec<Warning>, DeployErrors> {
    let mut warnings: Vec<Warning> = find(deploy, SecretOf::Cluster)?.warning.into_iter().collect();
    if runs_here {
        let token = find(deploy, SecretOf::Control)?;
        deploy.check_control_port(&token.secrets)?;
        warnings.extend(token.warning);
    }
    Ok(warnings)
}

fn find(deploy: &Deploy, of: SecretOf) -> Result<FoundSecrets, DeployErrors> {
    deploy.secrets(of, |name| std::env::var(name).ok())
}
