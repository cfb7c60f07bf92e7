//! The body of a function, as its author wrote it without the function around it: that it is one,
//! and what it names that it does not declare.

use oxc_allocator::Allocator;
use oxc_ast::ast::{BindingPattern, Expression, Function, Program, Statement};
use oxc_ast_visit::{Visit, walk};
use oxc_parser::{ParseOptions, Parser};
use oxc_semantic::{ScopeFlags, SemanticBuilder};
use oxc_span::SourceType;
use serde::{Deserialize, Serialize};

use super::Fault;
use super::typescript::first_error;

/// A body to look at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BodyJob {
    /// At most [`super::SOURCE_BYTES_MAX`] bytes.
    pub source: String,
    /// The names of the function's parameters, in order.
    pub parameters: Vec<String>,
    /// Names that are to be in scope, if variables can have them.
    pub scope: Vec<String>,
}

/// What is known of a body that is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// Of the names asked for, those that the body may refer to, in their order.
    pub scope: Vec<String>,
    /// Every name that the body uses and does not declare, sorted.
    pub free: Vec<String>,
}

impl Body {
    /// Whether the body uses `name` without declaring it.
    pub fn names(&self, name: &str) -> bool {
        self.free.iter().any(|free| free == name)
    }
}

/// Looks at one body. Takes time and stack according to the source, without a bound.
///
/// # Errors
/// The first fault; places are those of the source. Also when the source closes the function that
/// it is put into, or when a variable cannot have the name of a parameter.
pub(super) fn check(job: &BodyJob) -> Result<Body, Fault> {
    for name in &job.parameters {
        if !is_parameter(name) {
            return Err(Fault::of_file(format!(
                "the parameter {name:?} cannot be a variable: use another name"
            )));
        }
    }
    let open = format!("(async function ({}) {{\n", job.parameters.join(", "));
    let wrapped = format!("{open}{}\n}})", job.source);
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, &wrapped, SourceType::script()).parse();
    first_error(&wrapped, &parsed.diagnostics).map_err(|fault| within(fault, &job.source))?;
    let program = parsed.program;
    // From the brace that opens the body to the one that closes it: both are ours.
    let body = (len(&open) - 2, len(&wrapped) - 1);
    if parsed.panicked || !is_one_function(&program, body) {
        return Err(closes_early(&program, &wrapped, &job.source));
    }
    let semantic = SemanticBuilder::new()
        .with_check_syntax_error(true)
        .build(&program);
    first_error(&wrapped, &semantic.diagnostics).map_err(|fault| within(fault, &job.source))?;
    let scoping = semantic.semantic.into_scoping();
    let unresolved = scoping.root_unresolved_references();
    let mut free: Vec<String> = unresolved.keys().map(|name| name.to_string()).collect();
    free.sort();
    // What is evaluated later may name anything.
    let may_name_all = free.iter().any(|name| name == "eval");
    let is_named = |name: &&String| may_name_all || free.contains(*name);
    let scope = job.scope.iter().filter(is_named);
    let scope = scope.filter(|name| is_variable(name)).cloned().collect();
    Ok(Body { scope, free })
}

fn len(text: &str) -> u32 {
    u32::try_from(text.len()).unwrap_or(u32::MAX)
}

fn is_one_function(program: &Program<'_>, body: (u32, u32)) -> bool {
    let [Statement::ExpressionStatement(statement)] = program.body.as_slice() else {
        return false;
    };
    let function = match statement.expression.without_parentheses() {
        Expression::FunctionExpression(function) => function,
        _ => return false,
    };
    let span = function.body.as_ref().map(|body| body.span);
    program.directives.is_empty()
        && function.r#async
        && !function.generator
        && span.is_some_and(|span| (span.start, span.end) == body)
}

/// Whether a parameter of an async function may have this name.
fn is_parameter(name: &str) -> bool {
    declares(&format!("(async function ({name}) {{}})"), name)
}

/// Whether a parameter of a function around it may have this name.
fn is_variable(name: &str) -> bool {
    declares(&format!("(function ({name}) {{}})"), name)
}

/// Whether the text is a function with one parameter, which is just this name.
fn declares(text: &str, name: &str) -> bool {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, text, SourceType::script()).parse();
    if parsed.panicked || parsed.diagnostics.errors().next().is_some() {
        return false;
    }
    let [Statement::ExpressionStatement(statement)] = parsed.program.body.as_slice() else {
        return false;
    };
    let Expression::FunctionExpression(function) = statement.expression.without_parentheses()
    else {
        return false;
    };
    let params = &function.params;
    let [param] = params.items.as_slice() else {
        return false;
    };
    let is_plain = params.rest.is_none() && param.initializer.is_none();
    // An escaped name is another text for the same variable, and a comment is text around it.
    is_plain
        && matches!(&param.pattern, BindingPattern::BindingIdentifier(found)
            if found.name.as_str() == name
                && found.span.end - found.span.start == len(name))
}

/// A fault of the wrapped text as one of the source: the wrapper's first line is not there, and
/// what is found in its last one is told at the end of the source.
fn within(fault: Fault, source: &str) -> Fault {
    let lines = u32::try_from(source.split('\n').count()).unwrap_or(u32::MAX);
    let Some(line) = fault.line.checked_sub(1).filter(|line| *line > 0) else {
        return fault;
    };
    if line <= lines {
        return Fault { line, ..fault };
    }
    let alone = Fault { line, ..fault };
    stray(source).unwrap_or_else(|| at_end(alone, source, lines))
}

fn at_end(fault: Fault, source: &str, lines: u32) -> Fault {
    let last = source.rsplit('\n').next().unwrap_or_default();
    Fault {
        line: lines,
        column: u32::try_from(last.chars().count() + 1).unwrap_or(u32::MAX),
        ..fault
    }
}

/// The fault of the source by itself, where one brace too many is found at its own place.
fn stray(source: &str) -> Option<Fault> {
    let allocator = Allocator::default();
    let options = ParseOptions {
        allow_return_outside_function: true,
        ..ParseOptions::default()
    };
    // A module may await at its top level, as the body may.
    let parsed = Parser::new(&allocator, source, SourceType::mjs())
        .with_options(options)
        .parse();
    first_error(source, &parsed.diagnostics).err()
}

/// The fault of a source that closes the function before its own end.
fn closes_early(program: &Program<'_>, wrapped: &str, source: &str) -> Fault {
    let mut first = FirstFunction::default();
    first.visit_program(program);
    let message = "this closes the function before its end: a } without its {";
    match first.end.and_then(|end| end.checked_sub(1)) {
        Some(brace) => within(Fault::at(wrapped, brace, message), source),
        None => Fault::of_file(message),
    }
}

/// Where the function that the wrapper opens ends.
#[derive(Default)]
struct FirstFunction {
    end: Option<u32>,
}

impl<'a> Visit<'a> for FirstFunction {
    fn visit_function(&mut self, function: &Function<'a>, flags: ScopeFlags) {
        // The wrapper's own parenthesis is before it.
        if function.span.start == 1 {
            self.end.get_or_insert(function.span.end);
            return;
        }
        walk::walk_function(self, function, flags);
    }
}

#[cfg(test)]
mod tests;
