//! Sums that are kept in f16.

use super::Lint;
use naga::{Expression, Function, Handle, LocalVariable, MathFunction, Module, Span, Statement, Type, TypeInner};

/// Every store to a variable of f16, in a loop, of a sum that it is itself part of.
pub(super) fn run(module: &Module) -> Vec<(Lint, Span, String)> {
    let mut found = Vec::new();
    let functions = module.functions.iter().map(|(_, f)| f);
    for function in functions.chain(module.entry_points.iter().map(|e| &e.function)) {
        walk(module, function, &function.body, false, &mut found);
    }
    found
}

fn walk(
    module: &Module,
    function: &Function,
    block: &naga::Block,
    in_loop: bool,
    found: &mut Vec<(Lint, Span, String)>,
) {
    for (statement, span) in block.span_iter() {
        match statement {
            Statement::Block(inner) => walk(module, function, inner, in_loop, found),
            Statement::If { accept, reject, .. } => {
                walk(module, function, accept, in_loop, found);
                walk(module, function, reject, in_loop, found);
            }
            Statement::Switch { cases, .. } => {
                cases.iter().for_each(|case| walk(module, function, &case.body, in_loop, found));
            }
            Statement::Loop { body, continuing, .. } => {
                walk(module, function, body, true, found);
                walk(module, function, continuing, true, found);
            }
            Statement::Store { pointer, value } if in_loop => {
                let Some(local) = variable(function, *pointer) else { continue };
                let ty = function.local_variables[local].ty;
                if is_half(module, ty) && adds_to(function, *value, local, false) {
                    let name = function.local_variables[local].name.clone().unwrap_or_default();
                    found.push((Lint::HalfSum, *span, format!("{name} is summed up in f16")));
                }
            }
            _ => {}
        }
    }
}

/// The variable that a pointer leads into.
fn variable(function: &Function, pointer: Handle<Expression>) -> Option<Handle<LocalVariable>> {
    match function.expressions[pointer] {
        Expression::LocalVariable(local) => Some(local),
        Expression::Access { base, .. } | Expression::AccessIndex { base, .. } => variable(function, base),
        _ => None,
    }
}

/// Whether a type holds f16.
fn is_half(module: &Module, ty: Handle<Type>) -> bool {
    match module.types[ty].inner {
        TypeInner::Scalar(scalar) | TypeInner::Vector { scalar, .. } | TypeInner::Matrix { scalar, .. } => {
            scalar.kind == naga::ScalarKind::Float && scalar.width == 2
        }
        TypeInner::Array { base, .. } => is_half(module, base),
        _ => false,
    }
}

/// Whether `value` is a sum, as a whole or in part, of which one term is read from `local`.
fn adds_to(function: &Function, value: Handle<Expression>, local: Handle<LocalVariable>, in_sum: bool) -> bool {
    use naga::BinaryOperator::{Add, Subtract};
    let part = |value: Handle<Expression>, in_sum: bool| adds_to(function, value, local, in_sum);
    match &function.expressions[value] {
        Expression::Load { pointer } => in_sum && variable(function, *pointer) == Some(local),
        Expression::Binary { op: Add | Subtract, left, right } => part(*left, true) || part(*right, true),
        Expression::Binary { left, right, .. } => part(*left, in_sum) || part(*right, in_sum),
        Expression::Math { fun: MathFunction::Fma, arg2: Some(sum), .. } => part(*sum, true),
        Expression::Select { accept, reject, .. } => part(*accept, in_sum) || part(*reject, in_sum),
        Expression::Compose { components, .. } => components.iter().any(|c| part(*c, in_sum)),
        Expression::Access { base, .. } | Expression::AccessIndex { base, .. } => part(*base, in_sum),
        Expression::Splat { value, .. } => part(*value, in_sum),
        Expression::Swizzle { vector, .. } => part(*vector, in_sum),
        _ => false,
    }
}
