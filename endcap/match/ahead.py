"""Memory fetched before it is needed: rows met in no order are far apart, and a processor waits for one of them as long as for a hundred additions."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

item: Any = cgutils.get_item_pointer


def _fetch(_typing: Any, array: Any, place: Any) -> Any:
    """`fetch(array, place)` in compiled code: begin to bring near what stands at a place of the first axis.

    A hint that changes no result; a place beyond the end does no harm.
    """

    def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        kind, place_kind = signature.args
        held, first = context.make_array(kind)(context, builder, given[0]), context.cast(builder, given[1], place_kind, types.intp)
        places = [first, *[context.get_constant(types.intp, 0)] * (kind.ndim - 1)]
        address = builder.bitcast(item(context, builder, kind, held, places), ir.IntType(8).as_pointer())
        word = ir.IntType(32)
        hint = builder.module.declare_intrinsic("llvm.prefetch", (address.type,), ir.FunctionType(ir.VoidType(), [address.type, word, word, word]))
        builder.call(hint, [address, word(0), word(3), word(1)])  # to be read, kept near, data
        return context.get_dummy_value()

    return types.void(array, place), write


fetch: Any = intrinsic(_fetch)
