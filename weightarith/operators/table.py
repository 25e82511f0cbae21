"""Every operator there is, by the name it has in a recipe."""

from __future__ import annotations

from collections.abc import Mapping

from weightarith.operators.abliterate import ABLITERATE
from weightarith.operators.boosting import SUBSPACE_BOOSTING
from weightarith.operators.breadcrumbs import BREADCRUMBS, BREADCRUMBS_TIES
from weightarith.operators.compress import COMPRESS
from weightarith.operators.core_space import CORE_SPACE
from weightarith.operators.dare import DARE, DARE_LINEAR, DARE_TIES
from weightarith.operators.della import DELLA, DELLA_LINEAR, MAGPRUNE
from weightarith.operators.election import ELECT
from weightarith.operators.expo import EXPO
from weightarith.operators.extsub import EXT_SUB
from weightarith.operators.fisher import FISHER
from weightarith.operators.fusion import ARCEE_FUSION
from weightarith.operators.int8 import INT8
from weightarith.operators.isotropic import ISO_C, ISO_CTS
from weightarith.operators.knots import KNOTS
from weightarith.operators.linear import LINEAR, TASK_ARITHMETIC
from weightarith.operators.lines import LINES
from weightarith.operators.nearswap import NEARSWAP
from weightarith.operators.nuslerp import NUSLERP
from weightarith.operators.operator import Operator
from weightarith.operators.passthrough import PASSTHROUGH
from weightarith.operators.projection import PROJECT, REJECT
from weightarith.operators.ram import RAM, RAMPLUS
from weightarith.operators.safe_lora import SAFE_LORA
from weightarith.operators.sce import SCE
from weightarith.operators.signs import SIGN
from weightarith.operators.slerp import SLERP
from weightarith.operators.sphere import KARCHER, MULTISLERP
from weightarith.operators.stock import MODEL_STOCK
from weightarith.operators.ties import TIES
from weightarith.operators.trim import TRIM
from weightarith.operators.tsv import TSV

COMBINING = (
    LINEAR, TASK_ARITHMETIC, ELECT, TIES, DARE_LINEAR, DARE_TIES, DELLA, DELLA_LINEAR, BREADCRUMBS,
    BREADCRUMBS_TIES, SCE, RAM, RAMPLUS, MODEL_STOCK, SLERP, NUSLERP, MULTISLERP, KARCHER, NEARSWAP,
    ARCEE_FUSION, PASSTHROUGH, EXPO, LINES, FISHER, TSV, ISO_C, ISO_CTS, KNOTS, CORE_SPACE,
    SUBSPACE_BOOSTING,
)  # fmt: skip
"""What makes one model, or one vector, of several."""

DIRECTING = (PROJECT, REJECT, EXT_SUB, SAFE_LORA, ABLITERATE)
"""What takes directions out, or keeps them alone."""

SHRINKING = (COMPRESS, TRIM, DARE, MAGPRUNE, SIGN, INT8)
"""What makes a vector smaller, or simpler."""

OPERATORS: Mapping[str, Operator] = {
    operator.name: operator for operator in (*COMBINING, *DIRECTING, *SHRINKING)
}
