from my_marginals import register_models

from genbench.testing import parametrize_with_checks


@parametrize_with_checks(*register_models())
def test_the_model_keeps_its_contract(check):
    check()
