"""The verifier: how many cases does a model answer right with the prompt? `score.py CASES` prints METRIC accuracy and tokens.

PROMPT (a file), MODEL, BASE_URL and API_KEY come from `verify.env`. Run it with the Python that has loopsmith.
"""

import json
import os
import random
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai

CASES = 16  # that a run asks about; 0: all of them
REQUEST = {"temperature": 0, "max_tokens": 100}  # of each call; some models want max_completion_tokens, and no temperature
TOKENS = 40_000  # of a run, questions and answers; a prompt that takes more has no score
AT_ONCE = 4  # calls
TIMEOUT = 60.0  # seconds of a call; one that fails is tried three times more


def right(answer, case):
    if "pattern" in case:
        return re.search(case["pattern"], answer) is not None
    return plain(answer) == plain(case["expected"])


def plain(text):
    return " ".join(text.casefold().split()).rstrip(".")


def ask(client, prompt, case, seed):
    """The answer, and the tokens that it took."""
    messages = [{"role": "system", "content": prompt}, {"role": "user", "content": case["input"]}]
    done = client.chat.completions.create(model=os.environ["MODEL"], messages=messages, seed=seed, **REQUEST)
    return done.choices[0].message.content or "", done.usage.total_tokens if done.usage else 0


def score(file):
    seed = int(os.environ.get("LOOPSMITH_SEED", "0"))
    cases = [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
    drawn = random.Random(seed).sample(cases, min(CASES, len(cases))) if CASES else cases
    prompt, used, wrong = Path(os.environ["PROMPT"]).read_text(), 0, []
    client = openai.OpenAI(
        base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"] or "none", max_retries=3, timeout=TIMEOUT
    )
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for case, (answer, tokens) in zip(drawn, pool.map(lambda case: ask(client, prompt, case, seed % 2**31), drawn)):
            used += tokens
            if used > TOKENS:
                pool.shutdown(cancel_futures=True)
                sys.exit(f"more than {TOKENS} tokens, after {len(wrong)} wrong answers; a shorter prompt takes fewer")
            if not right(answer, case):
                wrong.append((case, answer))
    for case, answer in wrong:
        said, wanted = " ".join(answer.split())[:100], case.get("expected", case.get("pattern"))
        print(f"WRONG {json.dumps(case['input'][:200])}: {json.dumps(said)}, not {json.dumps(wanted)}")
    print(f"METRIC accuracy={(len(drawn) - len(wrong)) / len(drawn):.6g}")
    print(f"METRIC tokens={used}")


os.chdir(Path(__file__).parent)
try:
    score(Path(sys.argv[1]))
except openai.OpenAIError as error:
    words = str(error).replace(os.environ["API_KEY"] or "\0", "*****")[:500]
    sys.exit(f"the model could not be asked: {type(error).__name__}: {words}")
