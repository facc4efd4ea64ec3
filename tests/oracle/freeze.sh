#!/bin/sh
# Writes the frozen answers of the oracle that tests/dataset/test_screenplay.c compares with: tests/data/traps.*.jsonl
set -e
cd "$(dirname "$0")/../.."
one() {     # NAME MODE TURNS SETTINGS
    WEFT_ORACLE=$4 python3 tests/oracle/screenplay.py "$2" "$3" 阿沅 tests/data/traps_1.txt tests/data/traps_2.txt >"tests/data/traps.$1.jsonl"
}
alias='"alias": ["沈掌柜=沈老板,夫人沈氏@3-"]'
one seed seed pairs '{}'
one compat huanhuan-compat pairs '{}'
one pairs default pairs "{$alias}"
one multi default multi "{$alias}"
one pairs-all default pairs "{$alias, \"review\": true, \"chorus\": true, \"narration_prompt\": true}"
one multi-all default multi "{$alias, \"review\": true, \"chorus\": true, \"narration_prompt\": true}"
one pairs-long default pairs "{$alias, \"min_prompt_chars\": 4, \"min_answer_chars\": 5, \"keep_per_prompt\": 1}"
