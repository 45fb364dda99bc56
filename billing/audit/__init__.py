"""The checks of the books. Each check verifies an invariant (I1 to I22): a rule that our stored rows must always satisfy.

Other apps register checks of their own with `runner`. A check reports problems and never repairs them.
"""
