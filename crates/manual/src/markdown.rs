use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use roff::{Inline, Roff, bold, italic, roman};

/// Columns of a line of source.
const WIDTH: usize = 78;

/// What Markdown says, in man(7). Of Markdown it knows headings, paragraphs, lists, definition lists, code, and two kinds of
/// emphasis; blocks of the language `roff` are passed through.
pub(crate) fn to_roff(markdown: &str) -> String {
    let mut writer = Writer::default();
    for event in Parser::new_ext(markdown, Options::ENABLE_DEFINITION_LIST) {
        writer.take(event);
    }
    writer.out
}

#[derive(Default)]
struct Writer {
    out: String,
    line: Vec<Inline>,
    font: Font,
    code: Option<Code>,
    /// Lists that this one is in.
    depth: usize,
    /// Whether the next paragraph has its request already: the first of an item or a definition.
    begun: bool,
}

#[derive(Default, Clone, Copy)]
enum Font {
    #[default]
    Roman,
    Bold,
    Italic,
}

/// A block that is taken as it is.
enum Code {
    /// Shown.
    Shown(String),
    /// Roff.
    Raw(String),
}

impl Writer {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => self.text(&text),
            Event::Code(text) => self.line.push(bold(&*text)),
            Event::SoftBreak => self.text(" "),
            Event::HardBreak => {
                self.write_line();
                self.request(".br");
            }
            other => panic!("a manual page has no {other:?}"),
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Paragraph => self.paragraph(),
            Tag::CodeBlock(CodeBlockKind::Fenced(language)) if &**language == "roff" => {
                self.code = Some(Code::Raw(String::new()));
            }
            Tag::CodeBlock(_) => self.code = Some(Code::Shown(String::new())),
            Tag::Strong => self.font = Font::Bold,
            Tag::Emphasis => self.font = Font::Italic,
            Tag::List(_) | Tag::DefinitionList => {
                self.write_line();
                self.depth += 1;
                if self.depth > 1 {
                    self.request(".RS");
                }
            }
            Tag::Item => self.begin(".IP \\(bu 2"),
            Tag::DefinitionListTitle => self.begin(".TP"),
            Tag::DefinitionListDefinition => self.begun = true,
            Tag::Heading { .. } | Tag::Link { .. } => {}
            other => panic!("a manual page has no {other:?}"),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => self.heading(level),
            TagEnd::CodeBlock => self.block(),
            TagEnd::Strong | TagEnd::Emphasis => self.font = Font::Roman,
            TagEnd::List(_) | TagEnd::DefinitionList => {
                self.depth -= 1;
                if self.depth > 0 {
                    self.request(".RE");
                }
            }
            TagEnd::Link => {}
            TagEnd::DefinitionListTitle => self.term(),
            _ => self.write_line(),
        }
    }

    fn text(&mut self, text: &str) {
        match &mut self.code {
            Some(Code::Shown(block) | Code::Raw(block)) => block.push_str(text),
            None => self.line.push(match self.font {
                Font::Roman => roman(text),
                Font::Bold => bold(text),
                Font::Italic => italic(text),
            }),
        }
    }

    /// Begins what has its request before its first paragraph.
    fn begin(&mut self, request: &str) {
        self.write_line();
        self.request(request);
        self.begun = true;
    }

    fn paragraph(&mut self) {
        if !std::mem::take(&mut self.begun) {
            self.request(if self.depth > 0 { ".IP" } else { ".PP" });
        }
    }

    fn heading(&mut self, level: HeadingLevel) {
        let request = if level == HeadingLevel::H2 { ".SH" } else { ".SS" };
        let title = escaped(&std::mem::take(&mut self.line));
        self.request(&format!("{request} \"{title}\""));
        self.begun = true;
    }

    /// What is explained stands on one line (man(7), TP).
    fn term(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.request(&guarded(&escaped(&line)));
        self.begun = false;
    }

    fn block(&mut self) {
        match self.code.take() {
            Some(Code::Raw(roff)) => self.out.push_str(&roff),
            Some(Code::Shown(text)) => {
                let begun = std::mem::take(&mut self.begun);
                if !begun {
                    self.request(if self.depth > 0 { ".IP" } else { ".PP" });
                }
                self.request(".RS 4\n.EX");
                text.lines().for_each(|line| self.request(&guarded(&escaped(&[roman(line)]))));
                self.request(".EE\n.RE");
            }
            None => {}
        }
    }

    /// Writes what has been gathered, in lines that end with their sentences.
    fn write_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return;
        }
        self.begun = false;
        let mut written = String::new();
        for word in escaped(&line).split_whitespace() {
            if !written.is_empty() && (written.len() + word.len() >= WIDTH || ends_sentence(&written)) {
                self.request(&guarded(&std::mem::take(&mut written)));
            }
            if !written.is_empty() {
                written.push(' ');
            }
            written.push_str(word);
        }
        self.request(&guarded(&written));
    }

    fn request(&mut self, line: &str) {
        self.out.push_str(line);
        self.out.push('\n');
    }
}

fn ends_sentence(line: &str) -> bool {
    line.ends_with(['.', '?', '!'])
}

/// With everything in it that means something to roff escaped.
fn escaped(line: &[Inline]) -> String {
    let text = Roff::new().text(line).to_roff();
    let text = text.trim_end_matches('\n').replace('\'', "\\(aq");
    text.replace('~', "\\(ti").replace('^', "\\(ha").replace('`', "\\(ga")
}

/// A text line, whatever it begins with.
fn guarded(line: &str) -> String {
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_paragraphs_and_fonts_are_kept() {
        let roff = to_roff("## NAME\ndo-it - *does* it, **now**. Yes.\n\nMore `code`.\n");
        assert_eq!(
            roff,
            ".SH \"NAME\"\ndo\\-it \\- \\fIdoes\\fR it, \\fBnow\\fR.\nYes.\n.PP\nMore \\fBcode\\fR.\n"
        );
    }

    #[test]
    fn lists_and_definitions_have_their_requests() {
        let roff = to_roff("- one\n- two\n\nterm\n: what it is\n\n  and more\n");
        assert_eq!(roff, ".IP \\(bu 2\none\n.IP \\(bu 2\ntwo\n.TP\nterm\nwhat it is\n.IP\nand more\n");
    }

    #[test]
    fn nothing_shown_is_taken_for_a_request() {
        let roff = to_roff("    .TH\n    'it' \\fB\n");
        assert_eq!(roff, ".PP\n.RS 4\n.EX\n\\&.TH\n\\&\\(aqit\\(aq \\\\fB\n.EE\n.RE\n");
        assert!(to_roff("a\n.br b\n").lines().all(|line| line == ".PP" || !line.starts_with('.')));
    }

    #[test]
    fn roff_is_passed_through() {
        assert_eq!(to_roff("```roff\n.TP\n\\fBx\\fR\n```\n"), ".TP\n\\fBx\\fR\n");
    }
}
