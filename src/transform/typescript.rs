//! One file of TypeScript or JSX to JavaScript, by the parser and transformer of oxc.

use std::collections::BTreeSet;
use std::path::Path;

use oxc_allocator::Allocator;
use oxc_ast::ast::{
    Argument, CallExpression, Declaration, Decorator, Expression, ImportOrExportKind,
    PrivateIdentifier, Program, Statement, StringLiteral, TSModuleReference,
};
use oxc_ast_visit::{Visit, VisitMut, walk_mut};
use oxc_codegen::{Codegen, CodegenOptions, CommentOptions};
use oxc_diagnostics::{Diagnostics, OxcDiagnostic};
use oxc_parser::{ParseOptions, Parser};
use oxc_semantic::{Scoping, SemanticBuilder};
use oxc_span::{SourceType, Span};
use oxc_transformer::{
    ClassPropertiesOptions, HelperLoaderMode, JsxRuntime, TransformOptions, Transformer,
};

use super::{Fault, Job, Kind, Options, Transformed};

/// The object that the transformer expects its helpers in.
const HELPERS: &str = "babelHelpers";
/// What CommonJS modules have and ES modules have not, but programs that were written for a
/// compiler to CommonJS use next to `import`.
const COMMONJS_NAMES: [&str; 5] = ["require", "module", "exports", "__filename", "__dirname"];

/// Transforms one file. Takes time and stack according to the source, without a bound.
///
/// # Errors
/// The first fault of the source, or of what cannot be expressed in JavaScript.
pub(super) fn transform(job: &Job, files: &BTreeSet<String>) -> Result<Transformed, Fault> {
    let source = job.source.strip_prefix('\u{feff}').unwrap_or(&job.source);
    let options = &job.options;
    let allocator = Allocator::default();
    let mut source_type = source_type(&job.path, options)?;
    let mut program = parse(&allocator, source, source_type)?;
    let syntax = Syntax::of(&program);
    source_type = settled(source_type, program.source_type, &syntax, options, source)?;
    program.source_type = source_type;
    let semantic = SemanticBuilder::new()
        .with_check_syntax_error(true)
        .with_enum_eval(true)
        .build(&program);
    first_error(source, &semantic.diagnostics)?;
    let scoping = semantic.semantic.into_scoping();
    let marks = Marks::of(&program);
    if let (Some(span), false) = (marks.decorator, options.decorators) {
        let message = "decorators need \"experimentalDecorators\": true in tsconfig.json; \
                       those of the ECMAScript proposal are not supported";
        return Err(Fault::at(source, span.start, message));
    }
    if let Some(aliases) = &options.aliases {
        let resolve = |specifier: &str| aliases.resolve(specifier, &job.path, files);
        let mut rewrite = Rewrite {
            allocator: &allocator,
            resolve: &resolve,
        };
        rewrite.visit_program(&mut program);
    }
    let transform_options = transform_options(options, marks.has_private);
    let transformed = Transformer::new(&allocator, Path::new(&job.path), &transform_options)
        .build_with_scoping(scoping, &mut program);
    first_error(source, &transformed.diagnostics)?;
    let is_module = source_type.is_module();
    if !is_module {
        // What only imported types is no module for that.
        program.body.retain(|statement| !is_empty_export(statement));
    }
    let bridge = if is_module && options.kind == Kind::Detected {
        Bridge::of(&transformed.scoping, &syntax)
    } else {
        Bridge::default()
    };
    Ok(generate(&program, &job.path, &bridge))
}

fn source_type(path: &str, options: &Options) -> Result<SourceType, Fault> {
    let known =
        SourceType::from_path(path).map_err(|_| Fault::of_file("is neither TypeScript nor JSX"))?;
    Ok(match options.kind {
        Kind::Module => known.with_module(true),
        Kind::Detected => known.with_unambiguous(true),
    })
}

fn parse<'a>(
    allocator: &'a Allocator,
    source: &'a str,
    source_type: SourceType,
) -> Result<Program<'a>, Fault> {
    let options = ParseOptions {
        allow_return_outside_function: !source_type.is_module(),
        preserve_parens: false,
        ..ParseOptions::default()
    };
    let parsed = Parser::new(allocator, source, source_type)
        .with_options(options)
        .parse();
    first_error(source, &parsed.diagnostics)?;
    if parsed.panicked {
        return Err(Fault::of_file("cannot be understood"));
    }
    Ok(parsed.program)
}

pub(super) fn first_error(source: &str, diagnostics: &Diagnostics) -> Result<(), Fault> {
    diagnostics
        .errors()
        .next()
        .map_or(Ok(()), |error| Err(fault(source, error)))
}

fn fault(source: &str, error: &OxcDiagnostic) -> Fault {
    let message = match &error.help {
        Some(help) => format!("{}; {help}", error.message),
        None => error.message.to_string(),
    };
    match error.labels.first() {
        Some(label) => Fault::at(source, label.span().start, &message),
        None => Fault::of_file(message),
    }
}

/// ES module or CommonJS, now that it is known what is in the file.
fn settled(
    asked: SourceType,
    parsed: SourceType,
    syntax: &Syntax,
    options: &Options,
    source: &str,
) -> Result<SourceType, Fault> {
    if let (Some(span), Kind::Module) = (syntax.commonjs, options.kind) {
        let message = "`export =` and `import … = require(…)` are for CommonJS, and this file \
                       is an ES module by its name or package.json";
        return Err(Fault::at(source, span.start, message));
    }
    let is_commonjs = options.kind == Kind::Detected
        && !syntax.is_module
        && (syntax.commonjs.is_some() || !parsed.is_module() || syntax.is_types_only);
    if is_commonjs {
        Ok(asked.with_commonjs(true))
    } else {
        Ok(asked.with_module(true))
    }
}

/// What of a file's top level decides how it is loaded.
#[derive(Default)]
struct Syntax {
    /// It imports or exports values in the way of ES modules.
    is_module: bool,
    /// It imports or exports, but types only.
    is_types_only: bool,
    /// `export =` or `import x = require(…)`.
    commonjs: Option<Span>,
    /// `export =`
    assigns_exports: bool,
    /// It has an `export` of a value.
    exports: bool,
}

impl Syntax {
    fn of(program: &Program<'_>) -> Self {
        let mut syntax = Self::default();
        for statement in &program.body {
            syntax.note(statement);
        }
        syntax
    }

    fn note(&mut self, statement: &Statement<'_>) {
        let is_value = |kind: ImportOrExportKind| kind == ImportOrExportKind::Value;
        match statement {
            Statement::ImportDeclaration(import) => self.import(is_value(import.import_kind)),
            Statement::ExportAllDeclaration(export) => self.export(is_value(export.export_kind)),
            Statement::ExportFromDeclaration(export) => self.export(is_value(export.export_kind)),
            Statement::ExportNamedDeclaration(export) => self.export(is_value(export.export_kind)),
            Statement::ExportDeclaration(export) => {
                let is_type = matches!(
                    export.declaration,
                    Declaration::TSTypeAliasDeclaration(_) | Declaration::TSInterfaceDeclaration(_)
                );
                self.export(!is_type);
            }
            Statement::ExportDefaultDeclaration(_) => self.export(true),
            Statement::TSExportAssignment(export) => {
                self.commonjs.get_or_insert(export.span);
                self.assigns_exports = true;
            }
            Statement::TSImportEqualsDeclaration(import) => {
                let leads_out = matches!(
                    import.module_reference,
                    TSModuleReference::ExternalModuleReference(_)
                );
                if leads_out && is_value(import.import_kind) {
                    self.commonjs.get_or_insert(import.span);
                }
            }
            _ => {}
        }
    }

    fn import(&mut self, is_value: bool) {
        if is_value {
            self.is_module = true;
        } else {
            self.is_types_only = true;
        }
    }

    fn export(&mut self, is_value: bool) {
        self.import(is_value);
        self.exports |= is_value;
    }
}

fn is_empty_export(statement: &Statement<'_>) -> bool {
    matches!(statement, Statement::ExportNamedDeclaration(export) if export.specifiers.is_empty())
}

/// What has to be known of the whole tree before it is transformed.
#[derive(Default)]
struct Marks {
    decorator: Option<Span>,
    has_private: bool,
}

impl Marks {
    fn of(program: &Program<'_>) -> Self {
        let mut marks = Self::default();
        marks.visit_program(program);
        marks
    }
}

impl<'a> Visit<'a> for Marks {
    fn visit_decorator(&mut self, decorator: &Decorator<'a>) {
        self.decorator.get_or_insert(decorator.span);
    }

    fn visit_private_identifier(&mut self, _: &PrivateIdentifier<'a>) {
        self.has_private = true;
    }
}

/// Puts paths in the place of names that `tsconfig.json` gives a meaning.
struct Rewrite<'a, 'b> {
    allocator: &'a Allocator,
    resolve: &'b dyn Fn(&str) -> Option<String>,
}

impl<'a> Rewrite<'a, '_> {
    fn specifier(&self, literal: &mut StringLiteral<'a>) {
        if let Some(path) = (self.resolve)(literal.value.as_str()) {
            literal.value = self.allocator.alloc_str(&path).into();
            literal.raw = None;
        }
    }
}

impl<'a> VisitMut<'a> for Rewrite<'a, '_> {
    fn visit_statement(&mut self, statement: &mut Statement<'a>) {
        match statement {
            Statement::ImportDeclaration(import) => self.specifier(&mut import.source),
            Statement::ExportAllDeclaration(export) => self.specifier(&mut export.source),
            Statement::ExportFromDeclaration(export) => self.specifier(&mut export.source),
            Statement::TSImportEqualsDeclaration(import) => {
                if let TSModuleReference::ExternalModuleReference(reference) =
                    &mut import.module_reference
                {
                    self.specifier(&mut reference.expression);
                }
            }
            _ => walk_mut::walk_statement(self, statement),
        }
    }

    fn visit_import_expression(&mut self, import: &mut oxc_ast::ast::ImportExpression<'a>) {
        if let Expression::StringLiteral(literal) = &mut import.source {
            self.specifier(literal);
        }
        walk_mut::walk_import_expression(self, import);
    }

    fn visit_call_expression(&mut self, call: &mut CallExpression<'a>) {
        let is_require = matches!(&call.callee, Expression::Identifier(callee)
            if callee.name.as_str() == "require");
        if is_require && let Some(Argument::StringLiteral(literal)) = call.arguments.first_mut() {
            self.specifier(literal);
        }
        walk_mut::walk_call_expression(self, call);
    }
}

fn transform_options(options: &Options, has_private: bool) -> TransformOptions {
    let mut to = TransformOptions::default();
    to.helper_loader.mode = HelperLoaderMode::External;
    to.env.es2026.explicit_resource_management = true;
    to.typescript.only_remove_type_imports = options.verbatim;
    to.decorator.legacy = options.decorators;
    to.decorator.emit_decorator_metadata = options.metadata;
    to.decorator.strict_null_checks = options.strict_null_checks;
    if !options.define_fields {
        to.typescript.remove_class_fields_without_initializer = true;
        // Together with fields the transformer would take private names apart, for which there
        // are no helpers; they are better left alone.
        if !has_private {
            to.assumptions.set_public_class_fields = true;
            to.env.es2022.class_properties = Some(ClassPropertiesOptions { loose: true });
        }
    }
    to.jsx.pure = false;
    to.jsx.display_name_plugin = false;
    if options.jsx_classic {
        to.jsx.runtime = JsxRuntime::Classic;
        to.jsx.pragma.clone_from(&options.jsx_factory);
        to.jsx.pragma_frag.clone_from(&options.jsx_fragment);
        // Their imports are not for types only.
        if let Some(factory) = &options.jsx_factory {
            to.typescript.jsx_pragma = factory.clone().into();
        }
        if let Some(fragment) = &options.jsx_fragment {
            to.typescript.jsx_pragma_frag = fragment.clone().into();
        }
    } else {
        to.jsx.import_source.clone_from(&options.jsx_import_source);
    }
    to
}

/// What stands around an ES module that uses names of CommonJS.
#[derive(Default)]
struct Bridge {
    before: String,
    after: &'static str,
}

impl Bridge {
    fn of(scoping: &Scoping, syntax: &Syntax) -> Self {
        let unresolved = scoping.root_unresolved_references();
        let uses = |name: &str| {
            unresolved
                .keys()
                .any(|unresolved| unresolved.as_str() == name)
                || (syntax.commonjs.is_some() && matches!(name, "require"))
                || (syntax.assigns_exports && matches!(name, "module"))
        };
        if !COMMONJS_NAMES.iter().any(|name| uses(name)) {
            return Self::default();
        }
        let mut before = String::new();
        if uses("require") {
            before += "import { createRequire as __ampouleCreateRequire } from \"node:module\"; \
                       const require = __ampouleCreateRequire(import.meta.filename); ";
        }
        for (name, value) in [("__filename", "filename"), ("__dirname", "dirname")] {
            if uses(name) {
                before += &format!("const {name} = import.meta.{value}; ");
            }
        }
        let has_module = uses("module") || uses("exports");
        if has_module {
            before += "const module = { exports: {} }; ";
        }
        if uses("exports") {
            before += "let exports = module.exports; ";
        }
        let is_exported = has_module && (syntax.assigns_exports || !syntax.exports);
        Self {
            before,
            after: if is_exported {
                "export default module.exports;\n"
            } else {
                ""
            },
        }
    }
}

fn generate(program: &Program<'_>, path: &str, bridge: &Bridge) -> Transformed {
    let options = CodegenOptions {
        source_map_path: Some(path.into()),
        comments: CommentOptions::disabled(),
        ..CodegenOptions::default()
    };
    let generated = Codegen::new().with_options(options).build(program);
    let mappings = generated
        .map
        .map_or_else(String::new, |map| map.to_json().mappings);
    let mut before = bridge.before.clone();
    if generated.code.contains(HELPERS) {
        before += &helpers(&generated.code);
    }
    if before.is_empty() {
        return Transformed {
            code: generated.code + bridge.after,
            mappings,
        };
    }
    // What has to stand first stays first; everything else moves down by one line.
    let code = generated.code.as_str();
    let (first, rest) = match code.split_once('\n') {
        Some((first, rest)) if code.starts_with("#!") || code.starts_with("\"use strict\"") => {
            (first, rest)
        }
        _ => ("", code),
    };
    let (code, mappings) = if first.is_empty() {
        (format!("{before}\n{rest}"), format!(";{mappings}"))
    } else {
        let is_comment = first.starts_with("#!");
        let end = if is_comment { "\n" } else { " " };
        let shift = if is_comment { ";" } else { "" };
        let mappings = mappings.replacen(';', &format!("{shift};"), 1);
        (format!("{first}{end}{before}\n{rest}"), mappings)
    };
    Transformed {
        code: code + bridge.after,
        mappings,
    }
}

/// The helpers that the code uses, on one line.
fn helpers(code: &str) -> String {
    let used: String = HELPER_SOURCES
        .iter()
        .filter(|(name, _)| code.contains(&format!("{HELPERS}.{name}(")))
        .map(|(name, source)| {
            let source = source.split_whitespace().collect::<Vec<_>>().join(" ");
            format!("{name}: {source}, ")
        })
        .collect();
    format!("const {HELPERS} = {{ {used}}};")
}

/// What decorators and `using` become calls of.
const HELPER_SOURCES: [(&str, &str); 5] = [
    (
        "decorate",
        "function (decorators, target, key, descriptor) {
            const isMember = arguments.length > 2;
            let value = isMember ? descriptor : target;
            if (descriptor === null) value = Object.getOwnPropertyDescriptor(target, key);
            if (typeof Reflect.decorate === 'function') {
                value = Reflect.decorate(decorators, target, key, descriptor);
            } else {
                for (let i = decorators.length - 1; i >= 0; i--) {
                    const decorator = decorators[i];
                    if (!decorator) continue;
                    value = (isMember ? decorator(target, key, value) : decorator(value)) || value;
                }
            }
            if (isMember && value) Object.defineProperty(target, key, value);
            return value;
        }",
    ),
    (
        "decorateParam",
        "function (index, decorator) {
            return (target, key) => decorator(target, key, index);
        }",
    ),
    (
        "decorateMetadata",
        "function (key, value) {
            if (typeof Reflect === 'object' && typeof Reflect.metadata === 'function') {
                return Reflect.metadata(key, value);
            }
        }",
    ),
    (
        "defineProperty",
        "function (target, key, value) {
            Object.defineProperty(target, key,
                { value, enumerable: true, configurable: true, writable: true });
            return target;
        }",
    ),
    (
        "usingCtx",
        "function () {
            const none = {};
            const resources = [];
            function use(isAsync, value) {
                if (value === null || value === undefined) {
                    if (isAsync) resources.push({ isAsync });
                    return value;
                }
                if (Object(value) !== value) {
                    throw new TypeError('using declarations can only be used with objects, \
functions, null, or undefined.');
                }
                const async = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');
                const sync = Symbol.dispose ?? Symbol.for('Symbol.dispose');
                let dispose = isAsync ? value[async] : undefined;
                if (dispose === undefined || dispose === null) {
                    const plain = value[sync];
                    dispose = isAsync && typeof plain === 'function'
                        ? function () { plain.call(this); } : plain;
                }
                if (typeof dispose !== 'function') {
                    throw new TypeError('Property [Symbol.dispose] is not a function.');
                }
                resources.push({ isAsync, value, dispose });
                return value;
            }
            function suppressed(error, earlier) {
                if (typeof SuppressedError === 'function') {
                    return new SuppressedError(error, earlier);
                }
                const both = new Error('An error was suppressed during disposal.');
                both.name = 'SuppressedError';
                both.error = error;
                both.suppressed = earlier;
                return both;
            }
            const context = {
                e: none,
                u: (value) => use(false, value),
                a: (value) => use(true, value),
                d() {
                    let error = context.e;
                    const failed = (next) => {
                        error = error === none ? next : suppressed(next, error);
                    };
                    function dispose() {
                        for (;;) {
                            const resource = resources.pop();
                            if (resource === undefined) break;
                            try {
                                const result = resource.dispose?.call(resource.value);
                                if (resource.isAsync) {
                                    return Promise.resolve(result).then(dispose,
                                        (next) => { failed(next); return dispose(); });
                                }
                            } catch (next) {
                                failed(next);
                            }
                        }
                        if (error !== none) throw error;
                    }
                    return dispose();
                },
            };
            return context;
        }",
    ),
];
