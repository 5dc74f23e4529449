//! The host ports that a file publishes, and the variables in them.

use super::fault::Fault;
use super::interpolate::Variable;

/// The host ports of a file, in the file's order.
#[derive(Debug, Default)]
pub(super) struct Published(Vec<(u16, Vec<Variable>)>);

impl Published {
    /// Adds a fixed port; ignores `None`.
    pub(super) fn add(&mut self, port: Option<u16>, variables: Vec<Variable>) {
        self.0.extend(port.map(|port| (port, variables)));
    }

    /// Host ports that are equal because of variables. `Topology` reports those that are equal in the file itself.
    pub(super) fn clashes(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (i, (port, variables)) in self.0.iter().enumerate() {
            for (_, others) in self.0[..i].iter().filter(|(other, _)| other == port) {
                let both = || others.iter().chain(variables);
                if both().all(|variable| variable.value.is_none()) {
                    continue;
                }
                let names: Vec<String> = both().map(Variable::named).collect();
                let message = match &names[..] {
                    [one] => {
                        format!("{one} is `{port}`, which the file already publishes: expected another port")
                    }
                    names => format!(
                        "{} are both `{port}`: expected a different port each",
                        names.join(" and ")
                    ),
                };
                faults.push(Fault::Variable(message));
            }
        }
        faults
    }
}
