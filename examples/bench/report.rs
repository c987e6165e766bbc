//! What a run found: tables for people, JSON for programs.

use std::error::Error;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::measure;

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// A Markdown table, aligned so that it reads well as text too.
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new<const N: usize>(header: [&str; N]) -> Self {
        Table { header: header.map(str::to_owned).to_vec(), rows: Vec::new() }
    }

    /// One whose columns are only known when it is made.
    pub fn with(header: Vec<String>) -> Self {
        Table { header, rows: Vec::new() }
    }

    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.add(cells.to_vec());
    }

    pub fn add(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.header.len(), "a cell for each column");
        self.rows.push(cells);
    }

    fn print(&self) {
        let lines = || [&self.header].into_iter().chain(&self.rows);
        let width = |column: usize| lines().map(|l| l[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.header.len()).map(width).collect();
        for (number, line) in lines().enumerate() {
            let cells = line.iter().zip(&widths).map(|(cell, width)| format!(" {cell:width$} |"));
            println!("|{}", cells.collect::<String>());
            if number == 0 {
                let rule = widths.iter().map(|width| format!("{}|", "-".repeat(width + 2)));
                println!("|{}", rule.collect::<String>());
            }
        }
    }
}

/// Everything one run found.
pub struct Report {
    /// Everything is to be small.
    pub quick: bool,
    figures: Map<String, Value>,
    failures: Vec<String>,
}

impl Report {
    pub fn new(quick: bool) -> Self {
        Report { quick, figures: Map::new(), failures: Vec::new() }
    }

    /// The first value normally, the second in a quick run, and neither when one was given.
    pub fn choose<T>(&self, given: Option<T>, normal: T, quick: T) -> T {
        given.unwrap_or(if self.quick { quick } else { normal })
    }

    /// Prints the heading of a benchmark.
    pub fn begin(&self, name: &str, what: &str) {
        println!("\n## {name}: {what}\n");
        if self.quick {
            println!("Quick run: these figures are not worth quoting.\n");
        }
        println!("{}\n", measure::machine());
    }

    /// Prints a table with what has to be said about it.
    pub fn table(&self, table: &Table, notes: &[String]) {
        table.print();
        println!();
        self.table_notes(notes);
    }

    /// Prints what has to be said about several tables.
    pub fn table_notes(&self, notes: &[String]) {
        for note in notes {
            println!("- {note}");
        }
        if !notes.is_empty() {
            println!();
        }
    }

    /// Keeps the figures of a benchmark for the JSON file.
    pub fn keep(&mut self, name: &str, figures: Value) {
        self.figures.insert(name.to_owned(), figures);
    }

    /// Something that should have worked did not.
    pub fn fail(&mut self, what: String) {
        println!("FAILED: {what}\n");
        self.failures.push(what);
    }

    /// Writes the JSON file; says whether nothing failed.
    pub fn finish(self, file: Option<&Path>) -> Result<bool> {
        if let Some(file) = file {
            let all = json!({
                "machine": measure::machine(),
                "quick": self.quick,
                "failures": self.failures,
                "figures": self.figures,
            });
            let text = serde_json::to_string_pretty(&all)?;
            fs::write(file, text + "\n").map_err(|e| format!("{}: {e}", file.display()))?;
        }
        Ok(self.failures.is_empty())
    }
}

/// Some measurements of one thing.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The value below which a part of all values lies; NaN of nothing.
    pub fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        sorted.get((last as f64 * part).round() as usize).copied().unwrap_or(f64::NAN)
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// "median (least to most)".
    pub fn text(&self, digits: usize) -> String {
        let (least, most) = (self.quantile(0.0), self.quantile(1.0));
        format!("{:.digits$} ({least:.digits$} to {most:.digits$})", self.median())
    }

    pub fn json(&self) -> Value {
        json!({
            "median": self.median(),
            "min": self.quantile(0.0),
            "max": self.quantile(1.0),
            "samples": self.0,
        })
    }

    /// Pair by pair, this divided by the other.
    pub fn ratio(&self, other: &Samples) -> Samples {
        Samples(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Samples(values.into_iter().collect())
    }
}
