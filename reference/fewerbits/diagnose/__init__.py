"""Diagnosis: name what is wrong with a quantized tensor or model, with evidence and repair, for any quantizer."""

from fewerbits.diagnose.finding import Finding
from fewerbits.diagnose.loading import UnreadableModelError
from fewerbits.diagnose.model import diagnose_model
from fewerbits.diagnose.sums import diagnose_bias, diagnose_sums
from fewerbits.diagnose.tensors import diagnose

__all__ = ["Finding", "UnreadableModelError", "diagnose", "diagnose_bias", "diagnose_model", "diagnose_sums"]
