//! Just enough of Rust's grammar to tell paths from comments, strings and tests.

/// A file with comments, literals and test items blanked out, line for line.
pub struct Source {
    text: Vec<char>,
    tested: Vec<bool>,
}

/// A path as it stands, or one leaf of a `use` tree.
pub struct Path {
    pub names: Vec<String>,
    pub line: usize,
    /// Inline modules around it.
    pub inline: usize,
}

#[derive(Clone, PartialEq)]
enum Token {
    Name(String),
    Sep,
    Other(char),
}

impl Source {
    pub fn new(text: &str) -> Self {
        let mut text: Vec<char> = text.chars().collect();
        blank_comments_and_literals(&mut text);
        let mut tested = vec![false; text.len()];
        while let Some((start, end)) = next_test_item(&text) {
            for i in start..end {
                tested[i] = true;
                if text[i] != '\n' {
                    text[i] = ' ';
                }
            }
        }
        Self { text, tested }
    }

    /// Lines outside of test items.
    pub fn lines_without_tests(&self) -> usize {
        self.text.iter().zip(&self.tested).filter(|(c, tested)| **c == '\n' && !**tested).count()
    }

    /// Every path of at least two names, and every name after `use`.
    pub fn paths(&self) -> Vec<Path> {
        let tokens = self.tokens();
        let mut found = Vec::new();
        let mut i = 0;
        while i < tokens.len() {
            let (token, line, inline) = &tokens[i];
            let continues = i > 1 && tokens[i - 1].0 == Token::Sep && matches!(tokens[i - 2].0, Token::Name(_));
            if !matches!(token, Token::Name(_)) || continues {
                i += 1;
                continue;
            }
            let used = i > 0 && tokens[i - 1].0 == Token::Name("use".into());
            let mut leaves = Vec::new();
            i = leaves_of(&tokens, i, &[], &mut leaves).max(i + 1);
            let wanted = |names: &Vec<String>| names.len() > 1 || used;
            let path = |(names, at): (Vec<String>, usize)| Path { names, line: at.max(*line), inline: *inline };
            found.extend(leaves.into_iter().filter(|(names, _)| wanted(names)).map(path));
        }
        found
    }

    /// The tokens, each with its line and the number of inline modules around it.
    fn tokens(&self) -> Vec<(Token, usize, usize)> {
        let mut tokens: Vec<(Token, usize, usize)> = Vec::new();
        let (mut line, mut depth, mut modules) = (1, 0_usize, Vec::new());
        let mut i = 0;
        while i < self.text.len() {
            let c = self.text[i];
            let name: String = self.text[i..].iter().take_while(|c| is_name(**c)).collect();
            let token = match c {
                _ if !name.is_empty() => Token::Name(name.clone()),
                ':' if self.text.get(i + 1) == Some(&':') => Token::Sep,
                other => Token::Other(other),
            };
            match c {
                '\n' => line += 1,
                '{' => {
                    depth += 1;
                    if let [.., (Token::Name(word), ..), (Token::Name(_), ..)] = &tokens[..]
                        && word == "mod"
                    {
                        modules.push(depth);
                    }
                }
                '}' => {
                    modules.pop_if(|opened| *opened == depth);
                    depth = depth.saturating_sub(1);
                }
                _ => {}
            }
            i += if token == Token::Sep { 2 } else { name.chars().count().max(1) };
            if !c.is_whitespace() {
                tokens.push((token, line, modules.len()));
            }
        }
        tokens
    }
}

/// Collects the leaves of the `use` tree or path at `i`; gives the token behind it.
fn leaves_of(
    tokens: &[(Token, usize, usize)],
    mut i: usize,
    prefix: &[String],
    found: &mut Vec<(Vec<String>, usize)>,
) -> usize {
    let mut names = prefix.to_vec();
    loop {
        let line = tokens.get(i).map_or(0, |t| t.1);
        match tokens.get(i).map(|t| &t.0) {
            Some(Token::Name(name)) => {
                if name != "self" || names.is_empty() {
                    names.push(name.clone());
                }
                i += 1;
                if tokens.get(i).map(|t| &t.0) != Some(&Token::Sep) {
                    found.push((names, line));
                    return i;
                }
                i += 1;
            }
            Some(Token::Other('*')) if !names.is_empty() => {
                names.push("*".into());
                found.push((names, line));
                return i + 1;
            }
            Some(Token::Other('{')) if !names.is_empty() => {
                i += 1;
                while !matches!(tokens.get(i).map(|t| &t.0), None | Some(Token::Other('}'))) {
                    i = leaves_of(tokens, i, &names, found);
                    // Over `as name`, up to the next branch.
                    while !matches!(tokens.get(i).map(|t| &t.0), None | Some(Token::Other(',' | '}'))) {
                        i += 1;
                    }
                    i += usize::from(matches!(tokens.get(i).map(|t| &t.0), Some(Token::Other(','))));
                }
                return i + 1;
            }
            // A turbofish: the path so far is one.
            _ => {
                found.push((names, line));
                return i;
            }
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn blank_comments_and_literals(text: &mut [char]) {
    let mut i = 0;
    while i < text.len() {
        let end = end_of_comment_or_literal(text, i);
        for c in &mut text[i..end] {
            if *c != '\n' {
                *c = ' ';
            }
        }
        i = end.max(i + 1);
    }
}

/// The end of the comment or literal that starts at `i`, or `i`.
fn end_of_comment_or_literal(text: &[char], i: usize) -> usize {
    let at = |k: usize| text.get(k).copied().unwrap_or('\0');
    let name_before = i > 0 && is_name(text[i - 1]);
    match (at(i), at(i + 1)) {
        ('/', '/') => text[i..].iter().position(|c| *c == '\n').map_or(text.len(), |n| i + n),
        ('/', '*') => {
            let (mut k, mut depth) = (i + 2, 1);
            while k < text.len() && depth > 0 {
                match (at(k), at(k + 1)) {
                    ('/', '*') => (k, depth) = (k + 2, depth + 1),
                    ('*', '/') => (k, depth) = (k + 2, depth - 1),
                    _ => k += 1,
                }
            }
            k.min(text.len())
        }
        ('"', _) => end_of_quoted(text, i + 1, '"'),
        ('\'', '\\') => end_of_quoted(text, i + 1, '\''),
        ('\'', _) if at(i + 2) == '\'' => i + 3,
        ('r', '"' | '#') if !name_before || matches!(text[i - 1], 'b' | 'c') => {
            let hashes = text[i + 1..].iter().take_while(|c| **c == '#').count();
            if at(i + 1 + hashes) != '"' {
                return i;
            }
            let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            let body = i + 2 + hashes;
            text[body..].windows(close.len()).position(|w| w == close).map_or(text.len(), |n| body + n + close.len())
        }
        _ => i,
    }
}

/// Behind the closing quote of a literal whose content starts at `i`.
fn end_of_quoted(text: &[char], mut i: usize, quote: char) -> usize {
    while i < text.len() && text[i] != quote {
        i += if text[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(text.len())
}

/// The first item behind a `#[cfg(..test..)]`, from the attribute to the end of its line.
fn next_test_item(text: &[char]) -> Option<(usize, usize)> {
    let open: Vec<char> = "#[cfg(".chars().collect();
    let mut from = 0;
    loop {
        let start = from + text[from..].windows(open.len()).position(|w| w == open)?;
        let close = start + text[start..].iter().position(|c| *c == ']')?;
        let condition: String = text[start + open.len()..close].iter().collect();
        from = close;
        let mut words = condition.split(|c| !is_name(c));
        if words.any(|word| word == "test") && !condition.contains("not(") {
            let mut end = end_of_item(text, close + 1);
            let rest = text[end..].iter().take_while(|c| **c != '\n');
            if rest.clone().all(|c| c.is_whitespace()) {
                end = (end + rest.count() + 1).min(text.len());
            }
            return Some((start, end));
        }
    }
}

/// Behind the `;` or the closing brace of the item at `i`, over further attributes.
fn end_of_item(text: &[char], mut i: usize) -> usize {
    let mut depth = 0_usize;
    while i < text.len() {
        match text[i] {
            '{' | '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '}' if depth <= 1 => return i + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return i + 1,
            _ => {}
        }
        i += 1;
    }
    text.len()
}
