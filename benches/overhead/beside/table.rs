//! The table: medians over rounds and how far they spread, ratios of each round, as Markdown.

/// Columns, of which the last is compared with the others.
pub struct Table {
    heads: Vec<String>,
    rows: Vec<Row>,
    compared: bool,
}

struct Row {
    name: String,
    /// Of each column one value per round.
    columns: Vec<Vec<f64>>,
}

impl Table {
    pub fn new<S: Into<String>>(heads: impl IntoIterator<Item = S>, compared: bool) -> Self {
        Self {
            heads: heads.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
            compared,
        }
    }

    /// Adds a round's value to the row of this name, in this column.
    pub fn add(&mut self, name: &str, column: usize, value: f64) {
        let place = self.rows.iter().position(|row| row.name == name);
        let place = place.unwrap_or_else(|| {
            self.rows.push(Row {
                name: name.to_owned(),
                columns: vec![Vec::new(); self.heads.len()],
            });
            self.rows.len() - 1
        });
        self.rows[place].columns[column].push(value);
    }

    pub fn print(&self) {
        if self.rows.is_empty() {
            return;
        }
        let others = if self.compared {
            self.heads.len() - 1
        } else {
            0
        };
        let ratios = self.heads[..others].iter().map(|head| format!("/ {head}"));
        let heads: Vec<String> = self.heads.iter().cloned().chain(ratios).collect();
        println!(
            "\n| | {} |\n|---|{}",
            heads.join(" | "),
            "---|".repeat(heads.len())
        );
        for row in &self.rows {
            let mut cells: Vec<String> = row.columns.iter().map(|it| spread(it)).collect();
            let own = row.columns.last().expect("a column");
            for other in &row.columns[..others] {
                let ratios: Vec<f64> = own.iter().zip(other).map(|(a, b)| a / b).collect();
                cells.push(if ratios.is_empty() {
                    "–".to_owned()
                } else {
                    format!("{:.2}", median(&ratios))
                });
            }
            println!("| {} | {} |", row.name, cells.join(" | "));
        }
    }
}

/// The median, and the least and the most where there are several.
fn spread(values: &[f64]) -> String {
    let least = values.iter().copied().reduce(f64::min);
    let most = values.iter().copied().reduce(f64::max);
    match (least, most) {
        (Some(least), Some(most)) if values.len() > 1 => {
            let middle = short(median(values));
            format!("{middle} ({}–{})", short(least), short(most))
        }
        (Some(only), _) => short(only),
        _ => "–".to_owned(),
    }
}

/// With three digits that matter.
fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middling if middling >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    } else {
        sorted[middle]
    }
}
