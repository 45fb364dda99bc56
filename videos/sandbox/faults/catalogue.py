"""Every fault that can be ordered: its name, its argument, the label of the failure it simulates, and a description.

What a fault does is written where the code asks `strikes("NAME")`. The first word of its description says in which file:
  submit                        api/submit.py
  callback                      callbacks/sending.py, variants.py and bodies.py; early-callback in api/submit.py
  record-info                   api/record_info.py, api/records.py; stuck-generating in lifecycle/endings.py
  outcome, get-1080p, get-4k    lifecycle/endings.py, api/record_info.py, api/submit.py and lifecycle/upgrades.py
  file, upload                  files/hosting.py, files/uploads.py; those of result URLs in task_fields.py
  credit, all, every envelope   api/account.py, routes.py
"""

from typing import NamedTuple


class Fault(NamedTuple):
    """`number` (F09...) is the label of the failure that the fault simulates; faults with one label belong together."""

    name: str
    arg: str
    number: str
    description: str


_TABLE = """
drop-answer||F09 F10|submit: accepts the task, closes without a reply
drop-request||F09|submit: reads the request, accepts nothing, closes without a reply
reset-mid-answer||F11|submit: accepts, sends half of the reply, resets the connection
truncated-json||F11|submit: accepts, replies with half of the JSON and a matching length
html-502|accepted|F12|submit: a gateway's HTML page, HTTP 502; with `accepted` the task is created nevertheless
html-504|accepted|F12|submit: the same with HTTP 504
http-500|accepted|F12|submit: an envelope of code 500 with HTTP 500
code-402||F13|submit: code 402, insufficient credits
code-433||F13|submit: code 433, the key's own spending limit
credits-500|http|F13|submit: code 500 with the text of 402; with `http` also as HTTP 500
balance-runs-out|N|F23|submit: the balance falls to 0 once N tasks were accepted (default 1)
code-422||F14|submit: code 422
code-400-policy||F14|submit: code 400, content policy
code-451||F14|submit: code 451, an image could not be fetched
code-429||F15|submit: code 429 in the body, HTTP 200
http-429||F15|submit: HTTP 429
code-455||F16|submit: code 455, maintenance
code-505||F16|submit: code 505, feature disabled
code-500-no-id|accepted|F17|submit: code 500 without a task id; with `accepted` the task is created nevertheless
code-501-no-id|accepted|F17|submit: code 501 without a task id
code-401||F18|submit: code 401, HTTP 200
http-401||F18|submit: code 401, HTTP 401
code-404||F18|submit: code 404, HTTP 200
no-task-id||F19|submit: accepts, replies 200 with empty data
number-task-id||F19|submit: accepts, replies with a number for an id
null-task-id||F19|submit: accepts, replies with null for an id
repeated-task-id||F19|submit: accepts, replies with the id of another task
task-id-key|KEY|§8|submit: the id under task_id or recordId, or at the top level with `root` (default task_id)
slow-answer|SECONDS|F09|submit: accepts, replies that many real seconds later (default 90)
odd-code|N,accepted|F19|submit: an unknown code (default 799)
redirect|URL|F12|submit: HTTP 307 to URL (default a private address)
huge-json||F43|submit: accepts, replies with 200 MB of JSON
gzip-bomb||F43|submit: accepts, replies with 100 MB gzipped into 100 KB
no-callback||F10|callback: none
duplicate-callback|N|F27 F37|callback: N copies at the same time (default 10)
early-callback||F26|callback: the task ends and its callback is sent before the reply to the submit
late-callback|SECONDS|F26|callback: that many sandbox seconds later (default 60)
fail-after-success||F28|callback: after the genuine success, a failure
success-after-fail||F28|callback: after the genuine failure, a success
callback-wrong-token||F29|callback: one more, to an address whose last part is altered
callback-other-token||F29|callback: one more, to the address of another task
callback-forged-body||F30|callback: one more before the genuine one: another task's id and a hostile address
callback-evil-url|URL|F30 F46|callback: the result URL is hostile (default a private address)
replayed-signature||F31|callback: one more after the genuine one: the same headers, a changed body
stale-signature|SECONDS|F31|callback: a valid signature, that many seconds old (default 3600)
bad-signature||F31|callback: a wrong signature
no-signature||F31|callback: unsigned although a key is set
callback-big|MB|F32|callback: a body of that size (default 50)
callback-endless||F32|callback: a chunked body that does not end (cut after 60 real seconds)
callback-slow|SECONDS|F32|callback: one byte per that many real seconds (default 1)
callback-malformed|KIND|F33|callback: bad-json, content-type, bad-utf8, deep, nan, duplicate-keys, empty, array (default in turn)
callback-empty-urls||F34|callback: success with []
callback-null-urls||F34|callback: success with null
callback-no-info||F34|callback: success without info
callback-bare-string||F34 §8|callback: the list of results is one plain string
callback-json-string||F34 §8|callback: the list of results is a JSON string
callback-unquoted-list||F34 §8|callback: the list of results is "[address]" without quotes
callback-unknown-code|N|F35|callback: an unknown code (default 777)
callback-stranger||F38|callback: one more, about a task that never existed
callback-lies-success||F39|callback: a success halfway, while record-info still says 0
callback-lies-failure||F39|callback: a failure halfway, while record-info still says 0
callback-flat||§8|callback: taskId, successFlag and results at the top level
callback-market||§8|callback: taskId, state and resultJson
callback-snake||§8|callback: task_id, result_urls
callback-prompt-object||§8|callback: promptJson as an object
callback-no-prompt||§8|callback: no promptJson
callback-message-key||§8|callback: message instead of msg
callback-msg|TEXT|§8|callback: another msg, for example a Chinese one
callback-no-credits||§8|callback: a 4K one without creditsConsumed
stuck-generating||F40|record-info: successFlag 0 while this is ordered, no callback
record-404|SECONDS|F41|record-info: code 404; with SECONDS only for that long after the task was created
record-null|SECONDS|F41|record-info: code 422 "record is null"
data-null|SECONDS|F41|record-info: code 200 with data null
record-422|TEXT|F41|record-info: code 422 with another of the known texts
record-code|N|F41|record-info: any code in the envelope (default 500)
record-http|N|F41|record-info: any HTTP status with an envelope (default 500)
credit-http|N|F16|credit: any HTTP status with an envelope (default 500)
record-drop||F42|record-info: closes without a reply
record-slow|SECONDS|F42|record-info: replies that many real seconds later (default 30)
record-html||F41|record-info: an HTML page, HTTP 502
record-truncated||F41|record-info: half of the JSON
record-gzip-bomb||F43|record-info: 100 MB gzipped into 100 KB
record-huge||F43|record-info: 200 MB of JSON
record-other-task||F30|record-info: the record of another task
record-flips||F28|record-info: failure after success was reported once
unknown-flag|N|F35|record-info: an unknown successFlag (default 7)
string-flag||§8|record-info: successFlag as a string
status-words||§8|record-info: status GENERATING, SUCCESS... instead of successFlag
state-words||§8|record-info: state generating, success, fail instead of successFlag
success-no-urls|KIND|F34|record-info: success with empty, null or absent addresses (default empty)
urls-json-string||§8|record-info: resultUrls as a JSON string
urls-bare-string||§8|record-info: resultUrls as one plain string
urls-unquoted||§8|record-info: resultUrls as "[address]" without quotes
urls-at-root||§8|record-info: resultUrls as a JSON string beside successFlag
urls-result-json||§8|record-info: resultJson, a string
urls-video-url||§8|record-info: videoUrl, a string
times-as-text||§8|record-info: times as "2025-06-06 10:30:00"
times-absent||§8|record-info: no times
param-object||§8|record-info: paramJson as an object
param-absent||§8|record-info: no paramJson
param-foreign||F30|record-info: paramJson with another prompt
error-code-string||§8|record-info: errorCode as a string
message-key||§8|every envelope: message instead of msg
credits-consumed|PLACE|§8|record-info and callback: creditsConsumed at data, response or snake (default data)
fail-flag-2|TEXT|F14|outcome: the task ends with successFlag 2
fail-flag-3|TEXT|F14|outcome: the task ends with successFlag 3
upgrade-422||§8|get-1080p-video: "is processing" with code 422 instead of 400
4k-new-id||§8|get-4k-video: a new task id instead of the old one
4k-fails||§2.4|get-4k-video: ends in failure and calls back 500
file-404|N|F44|file: 404; with N only the first N requests for each file
file-500|N|F44|file: HTTP 500; with N only the first N requests for each file
file-403-until-minted||F45|file: HTTP 403 without a signed link from download-url
file-expired||F45|file: HTTP 404 without a signed link from download-url
evil-result-url|URL|F46|file: record-info names this address as the result (default a metadata service)
redirect-private|URL|F46|file: 302 to a private address
redirect-loop||F46|file: 302 to itself
redirect-once||F46|file: 302 to a signed link of the sandbox
slow-loris|SECONDS|F47|file: one byte per that many real seconds (default 5)
truncated-file|N|F48|file: announces the right length, sends half; with N only the first N requests
aborted-chunk|N|F48|file: chunked, ends in the middle; with N only the first N requests
endless-file||F49|file: never ends
huge-length||F49|file: announces and sends 10 GB
html-file||F50|file: an HTML page as the video
json-file||F50|file: an error envelope as the video
empty-file||F50|file: no bytes
image-file||F50|file: a PNG as the video
short-film||F50|file: a real video of one second
polyglot||F51|file: a real video with a script inside
second-url-fails||F56|file: a second result is listed and gives 404
no-range||F48|file: Range is ignored
no-upload||F50|upload: HTTP 500
down||F08 F16|all: HTTP 503, an HTML page
latency|MS|F42|all: that many real milliseconds before each reply
cf-1010|any|F12|all: HTTP 403 "error code: 1010" for a missing or a library's User-Agent; with `any` for all
"""

CATALOGUE = tuple(Fault(*row.split("|")) for row in _TABLE.strip().splitlines())
NAMES = frozenset(fault.name for fault in CATALOGUE)


def listing() -> str:
    """The text that --list-faults prints."""
    names = [f"{fault.name}[:{fault.arg}]" if fault.arg else fault.name for fault in CATALOGUE]
    rows = [(name, fault.number, fault.description) for name, fault in zip(names, CATALOGUE, strict=True)]
    width = max(len(row[0]) for row in rows)
    numbers = max(len(row[1]) for row in rows)
    return "\n".join(f"{name:<{width}}  {number:<{numbers}}  {description}" for name, number, description in rows)
