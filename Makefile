# Two commands on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check slow ray bench mutate clean

demo: $(VENV)/.demo  ## the main job on the embedded data set: no download, no torch
	$(BIN)/python -m pytest suites --model=hog_grabcut -rs

test: $(VENV)/.test check  ## everything that has to hold before a change lands
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not ray"

check: $(VENV)/.test  ## style, types, layers, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell segqa fixtures suites tests tools docs conftest.py README.md CONTRIBUTING.md CHANGELOG.md
	$(BIN)/validate-pyproject pyproject.toml

slow: $(VENV)/.test  ## whole data sets; minutes
	$(BIN)/python -m pytest -m slow

ray: $(VENV)/.test  ## the tests that start a real Ray; three minutes
	$(BIN)/python -m pip install --quiet --editable ".[ray]"
	$(BIN)/python -m pytest -m ray

bench: $(VENV)/.test  ## what is claimed about speed and about the search for clusters; an hour
	$(BIN)/python -m pip install --quiet --group benchmarks
	$(BIN)/python benchmarks/counting.py
	$(BIN)/python benchmarks/clusters_speed.py
	$(BIN)/python benchmarks/planted_clusters.py
	$(BIN)/python benchmarks/gate_detection.py
	$(BIN)/python benchmarks/review_page.py
	$(BIN)/python benchmarks/end_to_end.py  # --checkpoints DIR for networks of torch and ONNX
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/scale.py --cases 100000  # 1000000 and 10000000 take hours
	$(BIN)/python benchmarks/unused_plugin.py
	$(BIN)/python benchmarks/serving.py  # these two with the networks and photos of end_to_end.py
	$(BIN)/python benchmarks/hostile.py

mutate: $(VENV)/.test  ## the changes of a module that its tests do not notice: MODULE=segqa/gate/verdict.py, and SAMPLE=200 for some
	$(BIN)/python -m pip install --quiet --group mutation
	OPENBLAS_NUM_THREADS=1 $(BIN)/python benchmarks/mutants.py $(MODULE) $(if $(SAMPLE),--sample $(SAMPLE))

$(VENV)/.demo: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

# pip reads dependency groups from version 25.1
$(VENV)/.test: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[models,langsam,onnx,serve,http,scale,remote,testing]" --group dev
	touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) .segqa reports .mypy_cache .ruff_cache .pytest_cache
