//! The choice of the output of lines, and of their format, time zone and colours.

use spanwise_appender::{ByteSize, WhenFull};
use spanwise_json::{FieldList, Format, JsonLayer};
use tracing::level_filters::LevelFilter;

use crate::{
    Builder, Color, Output, Preset, TimeZone,
    choices::{Choices, Chosen},
    conceal,
    explain::Origin,
    format_choice::{self, RegisteredFormat},
    setting_row::SettingRow,
    settings::{
        CLICOLOR_FORCE, FORCE_COLOR, GOOGLE_CLOUD_PROJECT, LOG_COLOR, LOG_MAX_LINE, LOG_OUTPUT,
        LOG_OUTPUT_LEVEL, LOG_TIME, NO_COLOR, TERM,
    },
    time_zone::unknown_tz,
};

/// The output of lines, and the options that the lines of all outputs share.
pub(crate) struct OutputOptions {
    pub(crate) format: Format,
    /// The name of the format, if it is not a built-in format.
    #[cfg_attr(
        not(feature = "config"),
        expect(
            dead_code,
            reason = "only the formats of a file have options of their own"
        )
    )]
    pub(crate) format_name: Option<String>,
    /// The fields and parts that lines show. Chosen after the redaction policy, because it redacts
    /// them.
    pub(crate) fields: FieldList,
    /// The maximum length of the text of a value, in bytes. `None` means the default of the format.
    pub(crate) max_field: Option<usize>,
    /// The maximum length of a line, in bytes. `None` means the default of the format.
    pub(crate) max_line: Option<usize>,
    pub(crate) time: TimeZone,
    pub(crate) output: Output,
    /// The level of `output`.
    pub(crate) level: Option<LevelFilter>,
    /// Whether code has set a writer that replaces the output.
    pub(crate) has_writer: bool,
    pub(crate) color: Color,
    pub(crate) when_full: WhenFull,
    /// The id of the Google Cloud project. With this id, lines in the format `gcp` refer to traces.
    google_cloud_project: Option<String>,
}

impl OutputOptions {
    /// Chooses the format and the time zone. `Config::choose` sets the other options later, in the
    /// order of `explain()`: fields, maximum length, output, level and colours. `in_file` has the
    /// formats that a configuration file defines.
    pub(crate) fn choose(
        builder: &Builder,
        in_file: &[RegisteredFormat],
        choices: &mut Choices<'_>,
    ) -> Self {
        let has_writer = builder.writer.is_some();
        let when_full = builder.when_full;
        let (format, format_name) = format_choice::choose(&builder.formats, in_file, choices);
        let time = choose_time(&format, choices);
        let google_cloud_project = choose_google_cloud_project(&format, choices);
        Self {
            format,
            format_name,
            fields: FieldList::default(),
            max_field: None,
            max_line: None,
            time,
            output: choices.preset.output(),
            level: None,
            has_writer,
            color: Color::Auto,
            when_full,
            google_cloud_project,
        }
    }

    /// Creates a layer of JSON lines with these options.
    pub(crate) fn json_layer(&self, format: Format, fields: &FieldList) -> JsonLayer {
        let layer = JsonLayer::new()
            .format(format)
            .timestamp(self.time.timestamp())
            .fields(fields);
        match &self.google_cloud_project {
            Some(id) => layer.google_cloud_project(id),
            None => layer,
        }
    }
}

/// Chooses the Google Cloud project of the traces. An invalid id is ignored, because other programs
/// also use the variable.
fn choose_google_cloud_project(format: &Format, choices: &mut Choices<'_>) -> Option<String> {
    let id = choices.unchecked_text(&GOOGLE_CLOUD_PROJECT.def)?;
    if is_project_id(&id) {
        return Some(id);
    }
    if *format == Format::Gcp {
        choices.warn(format!(
            "GOOGLE_CLOUD_PROJECT={} is not the id of a project, so lines do not link to traces: \
             write an id such as my-project-1",
            conceal::shown_unquoted(&id)
        ));
    }
    None
}

/// Returns whether a text may be the id of a Google Cloud project: `my-project-1`,
/// `example.com:my-project`.
fn is_project_id(text: &str) -> bool {
    let is_id_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':');
    text.len() <= 128 && text.chars().all(is_id_char)
}

/// Chooses the time zone of timestamps in lines of this format.
fn choose_time(format: &Format, choices: &mut Choices<'_>) -> TimeZone {
    let preset = choices.preset;
    let time = choices.choose_or(&LOG_TIME, || match format.is_human_readable() {
        true => Chosen::new(preset.time(), Origin::Preset(preset.name())),
        false => Chosen::new(TimeZone::Utc, Origin::Default),
    });
    if time == TimeZone::Local && !format.has_time_zone() {
        let name = choices.shown_name(&LOG_TIME.def);
        choices.warn(format!(
            "{name}=local has no effect: the receivers of `{format}` expect UTC; remove it"
        ));
    } else if time == TimeZone::Local
        && let Some(zone) = unknown_tz()
    {
        choices.warn(format!(
            "TZ={} is not a time zone that this system knows, so local times are in UTC: install \
             tzdata, or write a zone such as TZ=Europe/Berlin",
            conceal::shown_unquoted(&zone)
        ));
    }
    time
}

/// Chooses the maximum length of a line.
pub(crate) fn choose_max_line(choices: &mut Choices<'_>) -> Option<usize> {
    let size = choices.value(&LOG_MAX_LINE)?;
    Some(bytes_of(size))
}

/// Returns a size in bytes, or `usize::MAX` if the size does not fit.
pub(crate) fn bytes_of(ByteSize(bytes): ByteSize) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Chooses the output and its level.
pub(crate) fn choose_output(
    has_writer: bool,
    choices: &mut Choices<'_>,
) -> (Output, Option<LevelFilter>) {
    let preset = choices.preset;
    let explicit = choices.explicit_value(&LOG_OUTPUT);
    // A pod sets `LOG_OUTPUT` for its service. A tool that runs in the pod inherits the variable,
    // but must keep stdout for its own output.
    let is_for_service = |output: &Chosen<Output>| {
        preset == Preset::Cli
            && output.value == Output::Stdout
            && output.origin.source_name().is_some()
    };
    if let Some(name) = (explicit
        .as_ref()
        .filter(|output| is_for_service(output) && !has_writer))
    .and_then(|output| output.origin.source_name())
    {
        choices.warn(format!(
            "{name}=stdout has no effect: the preset cli writes nothing to stdout, which is for \
             the output of the program; remove it"
        ));
    }
    let by_preset = Chosen::new(preset.output(), Origin::Preset(preset.name()));
    let output = explicit
        .filter(|output| !is_for_service(output))
        .unwrap_or(by_preset);
    match has_writer {
        true => choices.add_explanation(&LOG_OUTPUT.def, "a custom writer", &Origin::Code),
        false => choices.add_explanation(&LOG_OUTPUT.def, output.value, &output.origin),
    }
    let level = choices.value(&LOG_OUTPUT_LEVEL);
    if output.value == Output::None && !has_writer && level.is_some() {
        let level = choices.shown_name(&LOG_OUTPUT_LEVEL.def);
        let output = choices.shown_name(&LOG_OUTPUT.def);
        choices.add_problem(format!(
            "{level} is set, and {output} is none: set another output, or remove the level"
        ));
    }
    (output.value, level)
}

/// Chooses whether lines are coloured. If the setting is `auto`, variables that many programs
/// share, such as `NO_COLOR`, override it.
pub(crate) fn choose_color(choices: &mut Choices<'_>) -> Color {
    let explicit = choices.explicit_value(&LOG_COLOR);
    let color = explicit.unwrap_or(Chosen::new(Color::Auto, Origin::Default));
    let shared = shared_color(choices).filter(|_| color.value == Color::Auto);
    let color = shared.unwrap_or(color);
    choices.add_explanation(&LOG_COLOR.def, color.value, &color.origin);
    color.value
}

/// Returns the colour setting by `NO_COLOR` and other variables that many programs share. Returns
/// `None` if none of them decides.
pub(crate) fn shared_color(choices: &Choices<'_>) -> Option<Chosen<Color>> {
    let is_on = |text: &str| text != "0" && !text.eq_ignore_ascii_case("false");
    let decides = |row: &SettingRow<String>, applies: &dyn Fn(&str) -> bool, color| {
        let text = choices.unchecked_text(&row.def)?;
        let origin = || Origin::Variable(row.def.name.to_owned());
        applies(&text).then(|| Chosen::new(color, origin()))
    };
    decides(&NO_COLOR, &|_| true, Color::Never)
        .or_else(|| decides(&FORCE_COLOR, &is_on, Color::Always))
        .or_else(|| decides(&CLICOLOR_FORCE, &is_on, Color::Always))
        .or_else(|| decides(&TERM, &|text| text == "dumb", Color::Never))
}
