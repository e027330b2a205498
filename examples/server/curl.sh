#!/usr/bin/env bash
# A job with curl alone, from a file to an answer:
#
#   examples/server/curl.sh http://127.0.0.1:8000/v1 my-model examples/data/planets.jsonl
#
# `my-model` is the name of a folder or a .gguf file in the server's models folder. If the server
# has keys, set OPENAI_API_KEY to one of them.
set -euo pipefail

if (($# != 3)); then
  echo "usage: curl.sh http://127.0.0.1:8000/v1 MODEL FILE.jsonl" >&2
  exit 2
fi
url=$1 model=$2 file=$3

# The key goes through a pipe, not an argument, which every process on the machine can read.
api() {
  curl --silent --show-error --fail-with-body \
    --header @<(printf '%s' "${OPENAI_API_KEY:+authorization: Bearer $OPENAI_API_KEY}") "$@"
}

# The first string of that name in a line of JSON. Your own scripts may prefer `jq -r`.
field() {
  local pattern="\"$1\":\"(([^\"\\]|\\\\.)*)\"" text
  [[ $2 =~ $pattern ]] || return 1
  text=${BASH_REMATCH[1]//\\\"/\"}
  printf '%b\n' "$text"
}

# Quoted, as curl gives commas and semicolons a meaning.
quoted=${file//\\/\\\\} quoted=${quoted//\"/\\\"}
answer=$(api "$url/files" --form purpose=fine-tune --form "file=@\"$quoted\"") ||
  { echo "$answer"; exit 1; }
file_id=$(field id "$answer")
echo "uploaded $file as $file_id"

answer=$(api "$url/fine_tuning/jobs" --json @- <<JSON
{
  "model": "$model",
  "training_file": "$file_id",
  "hyperparameters": {"n_epochs": 3, "batch_size": 1, "optimizer": "lora", "seq_len": 256}
}
JSON
) || { echo "$answer"; exit 1; }
job=$(field id "$answer")

# Server-sent events: `id: 12`, `data: {…}`, an empty line. If the connection breaks, the
# stream is requested again, after the last event received.
last=0 finished=
while true; do
  while IFS= read -r line; do
    case $line in
      "id: "*) last=${line#id: } ;;
      "data: [DONE]") finished=yes ;;
      "data: "*) field message "$line" ;;
    esac
  done < <(api --no-buffer "$url/fine_tuning/jobs/$job/events?stream=true" \
    --header "last-event-id: $last" || true)
  # Waits for a server that is restarting; ends if it has no such job.
  answer=$(api --retry 30 --retry-delay 1 --retry-connrefused "$url/fine_tuning/jobs/$job")
  [[ $finished ]] && break
done

result=$(field fine_tuned_model "$answer") || { echo "$answer"; exit 1; }
answer=$(api "$url/chat/completions" --json @- <<JSON
{
  "model": "$result",
  "messages": [{"role": "user", "content": "Which planet is closest to the Sun?"}],
  "max_tokens": 64
}
JSON
) || { echo "$answer"; exit 1; }
echo "$result: $(field content "$answer")"
