//! Result of a query as text columns.

use serde_json::Value;

/// Formats the member `data` of a response: a value and its series in each line, and the time of a value that is one of several.
pub(super) fn of_data(data: &Value) -> String {
    let result = &data["result"];
    match data["resultType"].as_str() {
        Some("vector" | "matrix") => columns(&series_rows(result)),
        // `[time, value]`
        _ => format!("{}\n", value(result)),
    }
}

fn series_rows(result: &Value) -> Vec<[String; 3]> {
    let mut rows = Vec::new();
    for series in result.as_array().into_iter().flatten() {
        let name = series_text(&series["metric"]);
        if let Some(one) = series.get("value").or_else(|| series.get("histogram")) {
            rows.push([value(one), String::new(), name.clone()]);
        }
        let many = ["values", "histograms"].into_iter().filter_map(|key| series[key].as_array()).flatten();
        rows.extend(many.map(|one| [value(one), one[0].to_string(), name.clone()]));
    }
    rows
}

/// Returns the value of `[time, value]`. A native histogram is shown by its count and sum.
fn value(sample: &Value) -> String {
    match &sample[1] {
        Value::String(text) => text.escape_debug().to_string(),
        histogram => {
            let of = |name: &str| histogram[name].as_str().unwrap_or_default();
            format!("count {}, sum {}", of("count"), of("sum"))
        }
    }
}

/// Returns a series as PromQL writes it.
fn series_text(metric: &Value) -> String {
    let labels = metric.as_object().into_iter().flatten().filter(|(name, _)| *name != "__name__");
    let labels: Vec<_> =
        labels.map(|(name, value)| format!("{name}={:?}", value.as_str().unwrap_or_default())).collect();
    format!("{}{{{}}}", metric["__name__"].as_str().unwrap_or_default(), labels.join(", "))
}

/// Aligns the columns VALUE, TIME and SERIES. TIME is omitted if it is empty.
fn columns(rows: &[[String; 3]]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let header = ["VALUE", "TIME", "SERIES"].map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().chain([&header]).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let (value_width, time_width) = (width(0), width(1));
    let has_time = rows.iter().any(|[_, time, _]| !time.is_empty());
    let line = |[value, time, series]: &[String; 3]| {
        let time = if has_time { format!("{time:time_width$}  ") } else { String::new() };
        format!("{value:>value_width$}  {time}{series}\n")
    };
    [&header].into_iter().chain(rows).map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_series_has_a_line() {
        let data = json!({"resultType": "vector", "result": [
            {"metric": {"__name__": "up", "job": "a\n"}, "value": [1_795_910_820.5, "1"]},
            {"metric": {}, "value": [1_795_910_820.5, "12.25"]},
            {"metric": {"__name__": "h"}, "histogram": [1_795_910_820, {"count": "3", "sum": "0.5", "buckets": []}]},
        ]});
        let expected = [
            "           VALUE  SERIES",
            "               1  up{job=\"a\\n\"}",
            "           12.25  {}",
            "count 3, sum 0.5  h{}",
        ];
        assert_eq!(of_data(&data).lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn values_of_a_range_have_their_time() {
        let data = json!({"resultType": "matrix", "result": [{"metric": {"__name__": "up"}, "values": [[60, "1"], [120.5, "0"]]}]});
        assert_eq!(of_data(&data), "VALUE  TIME   SERIES\n    1  60     up{}\n    0  120.5  up{}\n");
    }

    #[test]
    fn scalars_and_strings_are_one_value() {
        assert_eq!(of_data(&json!({"resultType": "scalar", "result": [60, "2"]})), "2\n");
        assert_eq!(of_data(&json!({"resultType": "string", "result": [60, "a\u{1b}"]})), "a\\u{1b}\n");
        assert_eq!(of_data(&json!({"resultType": "vector", "result": []})), "");
    }
}
