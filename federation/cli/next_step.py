"""The next step after an error, by its reason or class: Chinese, a bar, English; nothing unless known to work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from federation.protocol.errors import BridgeheadError, CorruptError, MalformedError, UnavailableError
from federation.protocol.policy.text import DEFAULT_DENY, POLICY_ERROR

_NUMBER = "对照证件逐位核对号码 | compare the number with the card, digit by digit"
_ONE = "只能按一个号码、居住证、号牌或信用代码查询 | give one citizen number, permit, plate or USCC"
_CODE = "对照执照逐位核对代码 | compare the code with the licence, character by character"
_CERTIFICATE = "请节点管理员换发证书 | ask the node's operator for a new one: bridgehead keys client"
_ENDED = "管理员换发证书：bridgehead keys renew、keys client | its operator: bridgehead keys renew, keys client"
_LINES_ABOVE = (
    "核对编号、字段、用途，使上列一行成立；否则由符合的单位办理"
    " | check number, fields and purpose until a line above is true; else an office of which one is true does it"
)
_UNRELATED = "deny-recognise-unrelated"
"""A permit that is not of the number presented, or not of this province: which of the two is not told."""
_NETWORK = "检查节点是否运行、地址与证书是否对应 | check that the node runs and that profile and node belong together"

NEXT_STEPS: Final[dict[str, str]] = {
    "ADMINISTRATOR_EXISTS": "由该管理员登记；密钥丢失：--replace | they register keys; if theirs is lost: --replace",
    "ADMINISTRATOR_KEY": "由本单位密钥管理员办理：--officer | an administrator of the office does it: --officer NAME",
    "AGENCY_ELSEWHERE": "换用本节点的单位：--agency | take an agency of this node: --agency",
    "AGENCY_FUNCTIONS": "只写该类单位可承担的职能 | give it functions of its kind: bridgehead function list",
    "AGENCY_ID": "写作 省/区划代码/类别 | write province/county/kind, such as zhejiang/330822/police",
    "AGENCY_KIND": "类别先写入 functions.toml | put its kind into policies/functions.toml first",
    "AGENCY_KIND_TWICE": "functions.toml 中每类只写一次 | name each kind once in policies/functions.toml",
    "AGENCY_NOT_AGREED": "先写入 member.toml 并经协议同意 | put it into member.toml, and into the next agreement",
    "AGENCY_PROFILE": "换用上列单位之一 | take one of the agencies listed",
    "AGREEMENT_AHEAD": "核对本机时钟 | check the clock of this machine; another node may refresh: agreement refresh",
    "AGREEMENT_BEHIND": "稍候再试：节点正在取新协议 | try again shortly: the node is fetching the newer agreement",
    "AGREEMENT_CONFLICT": "每省一份 member-bundle.json | hand in one bundle for each province: --bundle",
    "AGREEMENT_FORM": "文件残缺：重新起草或导出 | it is damaged: draft or export it anew: bridgehead agreement",
    "AGREEMENT_HOMES": "写明节点目录：--home | name at least one home: --home",
    "AGREEMENT_KEY": "把新的单位清单交给起草的省 | hand its author a new bundle: bridgehead keys bundle",
    "AGREEMENT_MISSING": "核对路径，或先发布：bridgehead agreement publish | check it, or bridgehead agreement publish",
    "AGREEMENT_ROOT": "写明首个根，见 agreement show | name the first root as in agreement show: --root",
    "AGREEMENT_SIGNATURES": "请未签的省签署 | have who is missing sign it: bridgehead agreement sign DRAFT --home HOME",
    "AGREEMENT_TERMS": "改正 nodes/agreement.toml | mend nodes/agreement.toml",
    "AGREEMENT_TRIAL": "由有表决权的省签署 | have the provinces sign that have a vote",
    "AGREEMENT_WITNESS": "改正 nodes/agreement.toml 的 [[witness]] | mend [[witness]] in nodes/agreement.toml",
    "APPLICATION": "改正上列各项后重试 | mend the fields named and run it again",
    "APPLICATION_FILE": "另存为 UTF-8 的 JSON 或 TOML | save it as JSON or TOML in UTF-8",
    "BODY_KEYS_MISSING": "还原 node.body_keys.db；确已丢失才放空文件 | restore it; lost for good: touch an empty one",
    "BODY_KEYS_OTHER": "还原本存储自己的 node.body_keys.db | restore the node.body_keys.db of this very store",
    "BODY_KEY_MISSING": "核对存储：bridgehead node check --home | check the store: bridgehead node check --home",
    "BREAK_GLASS_FINDING": "写明结论：--finding justified 或 unjustified | say what was found: --finding",
    "BREAK_GLASS_LEADER": "换一名领导：--leader | name another leader than yourself: --leader",
    "BREAK_GLASS_LEADER_KEY": "领导先登记密钥 | the leader has a key registered first: bridgehead lookup key new",
    "BREAK_GLASS_NUMBER": "编号以 BREAK-GLASS- 开头 | begin the number with BREAK-GLASS-",
    "BREAK_GLASS_REVIEWED": "查看结论：bridgehead oversight notices | see what was found: bridgehead oversight notices",
    "BREAK_GLASS_REVIEWER": "由通知上的领导审查 | the leader named in it reviews: bridgehead oversight notices",
    "BREAK_GLASS_TERMS": "去掉 --letter 与 --days | leave out --letter and --days",
    "BREAK_GLASS_UNKNOWN": "核对案件编号：bridgehead oversight notices | see the cases: bridgehead oversight notices",
    "BREAK_GLASS_UNREVIEWED": "领导先审查 | its leader: bridgehead oversight review CASE --finding FOUND --key FILE",
    "BREAK_GLASS_WORDS": "写明理由：--words | say why: --words",
    "BULK_LEADER": "由案件领导签字 | the case's leader signs: bridgehead oversight countersign CASE --bulk --key FILE",
    "BULK_SECOND_PERSON": "由另一人签字 | another officer: bridgehead oversight countersign CASE --bulk --key FILE",
    "BULK_SIGNED": "已由两人签字，可继续查询 | two persons have signed: go on searching",
    "BUNDLE_STALE": "把新的单位清单交给起草的省 | hand its author the new one: bridgehead keys bundle",
    "BUNDLE_UNSIGNED": "在存有协议密钥处重做：keys bundle | make it where its agreement key is: bridgehead keys bundle",
    "CALENDAR_MISSING": "协议须含 policies/calendar.toml | agree on one that holds policies/calendar.toml",
    "CASE_CLOSED": "另立新案：bridgehead lookup case open | open a new case: bridgehead lookup case open",
    "CASE_CLOSER": "由案件领导结案 | the case's leader closes it: --officer",
    "CASE_COUNTIES": "写明外省的县：--county | name a county of another province: --county",
    "CASE_COUNTY_UNKNOWN": "核对区划代码：须属四省 | check the code: it must lie in a member province",
    "CASE_EXISTS": "换一个编号，或用原案件 | take another number, or go on with that case: bridgehead lookup history",
    "CASE_ID": "核对案件编号的写法，如 YS-2026-0042 | check how the number is written, such as YS-2026-0042",
    "CASE_LEADER": "写领导的化名：--leader | give the leader's pseudonym: --leader",
    "CASE_LEADER_ASKS": "由本案其他民警查询 | another officer asks in the case",
    "CASE_LEADER_GONE": "结案后另立新案 | close the case; another leader opens one under a new letter",
    "CASE_LETTER": "写明协作函号：--letter | give the letter's number: --letter",
    "CASE_NAME": "照抄 policies/cases/*.toml 中的案例名 | copy a name from policies/cases/*.toml",
    "CASE_OPENER": "由案件领导本人立案 | the leader opens it, by their own key: --officer",
    "CASE_TABLE": "在规则旁补案例表：policies/cases/ | put the table beside the policies: policies/cases/",
    "CASE_TERM": "期限 1 至 90 天：--days | take a term of 1 to 90 days: --days",
    "CASE_UNKNOWN": "先立案：bridgehead lookup case open | open the case first: bridgehead lookup case open",
    "CERTIFICATE": "重新签发证书 | issue it anew: bridgehead keys renew, bridgehead keys client",
    "CERTIFICATE_EXPIRED": _ENDED,
    "CERTIFICATE_ISSUER": _CERTIFICATE,
    "CERTIFICATE_REVOKED": _CERTIFICATE,
    "CITIZEN_NUMBER_CHECKSUM": _NUMBER,
    "CITIZEN_NUMBER_DATE": _NUMBER,
    "CITIZEN_NUMBER_FORM": _NUMBER,
    "CITIZEN_NUMBER_FUTURE": "演示人员只能用于演示节点 | synthetic people are for demo nodes only",
    "CITIZEN_NUMBER_LENGTH": _NUMBER,
    "CITIZEN_NUMBER_PROVINCE": _NUMBER,
    "CITIZEN_NUMBER_YEAR": _NUMBER,
    "COLUMN": "首行写字段名：bridgehead permit import --help | the first line names the fields: see --help",
    "CONFORMANCE_MISSING": "先核验再起草：bridgehead node conform | probe it, then draft: bridgehead node conform",
    "CONFORMANCE_REPORT": "改正后重做：bridgehead node conform | mend what failed, then: bridgehead node conform",
    "CORRECTION_ENDED": "查看结果：bridgehead subject corrections --all | see the list: subject corrections --all",
    "CORRECTION_FIELD": "写上列字段之一：--field | take one of the fields listed: --field",
    "CORRECTION_FILED": "查看进度：bridgehead subject corrections | see how it goes: bridgehead subject corrections",
    "CORRECTION_NOT_OURS": "由签发省决定，进度见清单 | the owner decides: bridgehead subject corrections",
    "CORRECTION_UNKNOWN": "核对编号：bridgehead subject corrections --all | compare the id with the list: --all",
    "CORRECTION_VALUE": "照证件写成一行：--value | one line, as the card has it: --value",
    "COSIGNED_FORGOTTEN": "请见证方恢复其存储 | its operator restores the witness's store",
    "COUNTERSIGN_LEADER": "由案件领导会签 | the case's leader countersigns, naming themselves: --officer",
    "COUNTERSIGN_SELF": "由未在本案查询过的人会签 | somebody who has not asked in the case countersigns",
    "DATA_KEYS": "从备份恢复 keys/data.key | restore keys/data.key from the backup of this home",
    "DEADLINE_EXCEEDED": "多等一会儿：--timeout | give it more time: --timeout",
    "DEFAULT_DENY": _LINES_ABOVE,
    "DENY_RECOGNISE_UNRELATED": "逐位核对居住证编号和公民身份号码 | compare both numbers, digit by digit",
    "DIGEST_READER": "只有本单位案件领导可查他人 | only a leader of the office reads another's: --officer, --key",
    "DOUBTED": "核实后写明疑点：--accept | look at each, then name it: --accept DOUBT",
    "DRAFT_EXISTS": "换一个新文件夹：--out | take a new folder: --out",
    "DRAFT_SIGNED": "各省都放弃另一草案后：--instead | once all have given up the other one: agreement sign --instead",
    "DRAFT_STALE": "以现行协议重新起草：agreement draft --after | draft anew: agreement draft --after HOME",
    "DUTY_AGENCY": "先在 member.toml 登记该单位 | register the office in member.toml first",
    "DUTY_AREA": "查看本县区域：bridgehead duty show | see the areas: bridgehead duty show",
    "DUTY_CLASS": "自下季度起变更：duty.toml 的 former | from the next quarter on: its former terms in duty.toml",
    "DUTY_DESK": "查看本县席位：bridgehead duty show | see the desks: bridgehead duty show",
    "DUTY_VOLUNTEER": "用本人值守密钥签到：--officer | sign on by your own name as an officer: --officer",
    "ENDORSEMENT_LATE": "改为恢复：bridgehead permit restore | restore it instead: bridgehead permit restore",
    "ENDORSEMENT_NOT_LATE": "签注逾期之后再办 | suspend it after its year has passed unendorsed",
    "ENDORSEMENT_TOO_EARLY": "到期前一个月内再办 | come back in the month before the full year",
    "ERASURE_DONE": "查看删除通知与回执：bridgehead erasure list | see orders and receipts: bridgehead erasure list",
    "ERASURE_SECOND": "另一人一并签字：--second 与 --second-key | a second person signs, too: --second, --second-key",
    "ERASURE_WORDS": "写明删除的理由：--words | say why it is erased: --words",
    "EVIDENCE_CHANGED": "向导出者取原件 | take the file as it was exported",
    "EVIDENCE_FORM": "取“audit export”写出的原文件 | take the file as it was written: bridgehead audit export",
    "EXERCISE_ONLY": "改用演练：--exercise；转为正式后再办 | as an exercise: --exercise; else once all is agreed on",
    "EXERCISE_SHORT": "演练期满后再起草 --actual | draft it with --actual once the exercises are over",
    "EXPELLED": "保全目录与日志；申请重新接纳：keys bundle | keep the home; to be admitted again: keys bundle",
    "EXTENSION_PAST_ANSWER": "缩短延期：--days | take fewer days: --days",
    "EXTENSION_TOO_LONG": "缩短延期：--days | take fewer days: --days",
    "EXTENSION_USED": "只能延期一次：准予或不予 | it is extended once only: grant or deny it",
    "FEDERATION_FILE": "先启动演示，或用 --client 指明单位配置 | start the demo first, or name a profile with --client",
    "FEDERATION_OTHER": "换用本联邦的 --profile，或写明其 --agreement | take its --profile, or name its --agreement",
    "FIELD_NOT_CORRECTABLE": "这一项按签注、注销等步骤改变 | this field changes by the steps of the law only",
    "FIELD_RULE": "照 --help 填写上列各项 | fill in what is named above as the command's --help says",
    "FILE": "核对路径：须是可读写的文件 | check the path: a file that may be read and written",
    "FILE_EMPTY": "文件中没有数据行 | the file holds no rows: check which file it is",
    "FILE_ENCODING": "另存为“CSV UTF-8”，或加 --encoding gb18030 | save as 'CSV UTF-8', or add --encoding gb18030",
    "FILE_EXISTS": "换一处：{option} | name another one: {option}",
    "FILE_KIND": "文件名以 .csv 或 .xlsx 结尾 | end the name in .csv or .xlsx",
    "FILE_MISSING": "核对文件路径 | check the path of the file",
    "FILE_SHEET": "照 --template 的表另存 | save it anew as the sheet that --template writes",
    "FILE_SIZE": "分成几个文件 | split it into several files",
    "FORMER_MEMBER_DROPPED": "按现行协议重新起草：--after | draft it anew: agreement draft --after HOME",
    "FUNCTIONS_MISSING": "写明规则目录：--policies | name the folder of the policies: --policies",
    "FUNCTION_NOT_HELD": "查看本单位可办的：bridgehead function kinds | see what an office may do: function kinds",
    "GUARDIAN_REQUIRED": "由监护人代办：加 --guardian 并交监护人证件 | a guardian applies: --guardian and their card",
    "HANDLE_ASKER": "以本人名义重新查询：bridgehead lookup search | search under your own name",
    "HANDLE_CASE": "在本案下重新查询：bridgehead lookup search | search under this case",
    "HANDLE_EXPIRED": "重新查询：bridgehead lookup search | search again: bridgehead lookup search",
    "HANDLE_FORM": "照抄查询结果中的凭据 | copy the handle as the search showed it",
    "HANDLE_UNKNOWN": "先查询：bridgehead lookup search | search first: bridgehead lookup search",
    "HOME_EXISTS": "换一个空文件夹 | take another, empty folder",
    "HOME_MISSING": "先建节点：bridgehead node init | make the node first: bridgehead node init",
    "HOME_MODE": "只许属主进入：chmod -R go= 节点文件夹 | let nobody else in: chmod -R go= HOME",
    "IDENTITY_UNPROVEN": "出示户籍地材料：加 --paper 文件 | show a paper of the household place: --paper FILE",
    "INSPECTION": "照所缺的一项补办 | make up what is named as missing",
    "INTAKE_ANSWERED": "查看已办：bridgehead lookup inbox --all | see what was done: bridgehead lookup inbox --all",
    "INTAKE_EXPIRED": "时限已过，对方可重新查询 | its time is over: the other side may ask again",
    "INTAKE_REFUSED": "查看已办：bridgehead lookup inbox --all | see what was done: bridgehead lookup inbox --all",
    "INTAKE_UNKNOWN": "照抄编号：bridgehead lookup inbox | copy the id from: bridgehead lookup inbox",
    "ISSUE_DATE": "签发日期不得晚于今天 | take a day of issue up to today",
    "JSON_OBJECT": "照 bridgehead policy explain --help 写一个 JSON 对象 | write one JSON object",
    "JSON_SYNTAX": "改正 JSON 的写法 | mend the JSON where the error says",
    "KEY_EXISTS": "换一个文件名：旧密钥从不覆盖 | take another file: an old key is never overwritten",
    "KEY_FILE_MODE": "只许本人读：chmod 600 文件 | let nobody else read it: chmod 600 FILE",
    "KEY_LIMIT": "最早的密钥终止五年后再更换 | wait until the oldest key has ended five years ago",
    "KEY_MISSING": "核对密钥文件：--key；没有则 bridgehead lookup key new | check the file or make one: lookup key new",
    "KEY_NOT_AGREED": "先发布含新密钥的协议 | first have an agreement published that names it: agreement draft",
    "KEY_NOT_ROTATED": "可更换 message、agreement、freshness | message, agreement and freshness keys can be replaced",
    "LAST_ADMINISTRATOR": "另登记一名 --administrator | first another: bridgehead lookup key register --administrator",
    "LETTER_USED": "一函一案：写新的协作函号 | one letter, one case: give the number of a new one: --letter",
    "LOG_DROPPED": "向该省索取新的 member-bundle.json | ask that province for a new one: keys bundle",
    "LOG_FORKED": "保全两本日志，立即联系对方管理员 | keep both logs, and call the operators of both nodes",
    "LOG_HEALTHY": "先启动节点向各见证核对 | start the node first, it asks the witnesses: bridgehead node serve",
    "LOG_NOT_AGREED": "先发布写明新日志的协议 | publish one that names it: bridgehead agreement draft --bundle",
    "LOG_UNKNOWN": "写明协议中的节点或其网址 | name a node of the agreement or its read URL",
    "LOOKUP_AMBIGUOUS": "写明是哪一种：--kind citizen_number 或 uscc | say which it is: --kind citizen_number or uscc",
    "LOOKUP_FIELD": "照字段名写，每次至少一项：--field | name at least one field as listed: --field",
    "LOOKUP_FORM": _ONE,
    "LOOKUP_UNKNOWN": "照抄记录中的查询号：bridgehead lookup history | copy the id from: bridgehead lookup history",
    "LOOKUP_WILDCARD": _ONE,
    "MANDATE": "由同一单位两人签署：bridgehead audit mandate | two of the office sign one: bridgehead audit mandate",
    "MEMBER_ELSEWHERE": "换用本省的文件夹：--from nodes/本省 | take the folder of this province: --from nodes/PROVINCE",
    "MEMBER_SHEET": "改正 member.toml；地址写在 node.toml | mend member.toml; addresses belong into node.toml",
    "MEMBER_SHEET_MISSING": "取入本省的 member.toml | take it in once: bridgehead keys bundle --from nodes/PROVINCE",
    "MEMBER_SUSPENDED": "中止解除后再办 | once the suspension is lifted: bridgehead node status",
    "MESSAGE_ID": "照抄编号：bridgehead erasure sent 省 | copy the id from: bridgehead erasure sent PROVINCE",
    "MESSAGE_KEY_DROPPED": "向该省索取新的 member-bundle.json | ask that province for a new one: keys bundle",
    "MESSAGE_KEY_NOT_AGREED": "先发布含本节点密钥的协议 | have an agreement published that names it: keys bundle",
    "MESSAGE_UNKNOWN": "照抄编号：bridgehead erasure sent 省 | copy the id from: bridgehead erasure sent PROVINCE",
    "METHOD_DENIED": "换用上列类别的单位：--agency | take an agency of the kind named: --agency",
    "NODE_NAME": "照协议写省名：bridgehead agreement show | as the agreement names it: bridgehead agreement show",
    "NOTE_UNSIGNED": "核对见证方的密钥与网址 | check the witness's key and URL: bridgehead agreement show",
    "NOTHING_OWED": "已有答复：bridgehead lookup history | it was answered: bridgehead lookup history",
    "NOT_AN_AGENCY": "核对单位的写法；确未列入协议的，联系节点管理员"
    " | check how the office is written; if the agreement does not name it, tell the node's operator",
    "NOT_A_MEMBER": "写协议成员：bridgehead agreement show | name a member: bridgehead agreement show",
    "NOT_INTAKE": "受理岗由协议定为一个单位 | one office answers for a province: use its profile",
    "NUMBER_DISAGREES": "先申请更正公民身份号码 | file a correction of the citizen number first",
    "OFFER_FORM": "粘贴 lookup key new 印出的整行 | paste the whole line that lookup key new printed",
    "OFFER_PROOF": "由本人重新出具：bridgehead lookup key offer | have them print it anew: bridgehead lookup key offer",
    "OFFICER": "化名用 1 至 64 个字母、数字、- 或 _ | a pseudonym of 1 to 64 letters, digits, - and _",
    "OFFICER_KEY": "用本人登记的密钥，并写明 --officer | take the key registered for you, and name yourself: --officer",
    "OFFICER_KEY_EXISTS": "确属更换：加 --replace，两省均会收到提示 | if it is to change: --replace, and all are told",
    "OFFICER_KEY_ROLE": "密钥管理员不查询 | who administers keys asks nothing: another person, another key",
    "OFFICER_KEY_TAKEN": "本人另建密钥 | they make a key of their own: bridgehead lookup key new",
    "OFFICER_KEY_UNKNOWN": "核对化名：bridgehead lookup key list | check the name: bridgehead lookup key list",
    "OFFICER_KEY_WITHDRAWN": "另建密钥并请管理员登记 | make one, have it registered: bridgehead lookup key new",
    "OVERLOADED": "稍候以同一编号重试 | try again soon, with the same id",
    "OWN_CERTIFICATE_ENDED": _ENDED,
    "PAGE_TOKEN": "从第一页重新列出 | list again from the first page",
    "PAPERS_MISSING": "补齐上列材料后重试 | add what is missing and run it again",
    "PEER_UNREACHABLE": _NETWORK,
    "PERMIT_HELD": "签注或恢复已有的居住证，或先注销 | endorse or restore the one there is, or revoke it first",
    "PERMIT_NOT_SUSPENDED": "未中止的居住证用签注 | a permit that is not suspended is endorsed",
    "PERMIT_UNKNOWN": "核对编号；副本只发往户籍省和工作省 | check the name; only household and work province get one",
    "PERMIT_URN": "核对编号的写法 | check how the name is written",
    "PLANTED_UNKNOWN": "照抄清单：bridgehead lookup planted list | copy it from: bridgehead lookup planted list",
    "PLATE_CLASS": "核对号牌种类 | check the class of the plate",
    "PLATE_FORM": "核对号牌，如 浙H·I0001 | check how the plate is written, such as 浙H·I0001",
    "POLICY_CHECK": "改正规则或案例：bridgehead policy check | mend them: bridgehead policy check",
    "POLICY_ERROR": "请联系节点管理员 | call the node's operator",
    "POLICY_REFUSED": "照上列改正后重试 | mend what the lines above name, and run it again",
    "PORT_TAKEN": "停掉占用端口的程序，或在 node.toml 换端口 | stop what listens there, or change it in node.toml",
    "PRIVATE_KEY": "用本人的私钥文件：bridgehead lookup key new | take your own key file: bridgehead lookup key new",
    "PROFILE": "换用审计单位的配置：--client | take the profile of a member's agency: --client",
    "PROVINCE_MISSING": "用 --from nodes/<省> | point --from at a folder such as nodes/zhejiang",
    "PURPOSE_UNKNOWN": "另选用途：bridgehead function list | take one of the list, or none: bridgehead function list",
    "QUOTA_CASE": "两人会签 | two persons sign: bridgehead oversight countersign CASE --bulk --key FILE",
    "QUOTA_CASES": "次日再立新案 | open the next case tomorrow",
    "QUOTA_CASE_ANSWERED": "结案后凭新函另立新案 | close the case; open another under a new letter",
    "QUOTA_CASE_LIMIT": "结案后凭新函另立新案 | close the case; open another under a new letter",
    "QUOTA_DESK": "次日再查 | go on tomorrow",
    "QUOTA_KEYS": "次日再办 | go on tomorrow",
    "QUOTA_NUMBERS_ANSWERED": "次日再查，或按公民身份号码查询 | go on tomorrow, or look up by citizen number",
    "QUOTA_OFFICE": "次日再查 | go on tomorrow",
    "QUOTA_OFFICER": "次日再查，或由本案其他民警查询 | go on tomorrow, or another officer of the case asks",
    "QUOTA_OFFICE_ANSWERED": "次日再查 | go on tomorrow",
    "QUOTA_PERSONS": "请案件领导会签 | the case's leader: bridgehead oversight countersign CASE --key FILE",
    "QUOTA_TRACES": "次日再查 | go on tomorrow",
    "READINGS_READER": "案件领导加 --case 与 --key | the case's leader adds --case CASE --key FILE",
    "REAL_NUMBER_IN_DEMO": "演示节点不收真人信息，请用 --synthetic | a demo node takes no real person: use --synthetic",
    "REAL_PLATE_IN_DEMO": "演示节点只收含 I 或 O 的号牌 | a demo node takes plates with an I or O only",
    "REAL_USCC_IN_DEMO": "演示节点只收 DEM0 代码 | a demo node takes codes of the series DEM0 only",
    "RECOGNITION_FIELDS_MISSING": "先请签发省补送所缺字段 | ask the issuing province for the fields first",
    "RECORD_FULL": "结案后另立新案续办 | close the case and go on in a new one",
    "RECORD_LINE_ENDED": "本省有两条同号记录；联系节点管理员 | two entries of one number: tell the node's operator",
    "RECORD_NOT_OPENED": "立案的记录尚未送达，稍后重试 | the entry that opened the case is not here: try later",
    "REFUSAL_REASON": "选用所列理由之一：--reason | take one of the reasons listed: --reason",
    "REFUSAL_WORDS": "写一句话说明：--words | say why in one sentence: --words",
    "REFUSED_TOO_OFTEN": "一分钟后重试；先弄清为何屡被拒绝 | try again in a minute; find out why so much is refused",
    "REGISTERED_ELSEWHERE": "请原登记县先办转出 | the county that keeps it registers its transfer first",
    "REGISTER_FIELD": "照首行字段名填写 | fill the fields as the error lists them",
    "REGISTER_UNKNOWN": "核对号牌或代码；只能查阅本县登记 | check it; an office reads its own county's register",
    "REQUEST_ID": "去掉 --request-id，由程序生成 | leave --request-id out: one is made",
    "REQUEST_ID_REUSED": "去掉 --request-id，由程序生成 | leave --request-id out: one is made",
    "RESTART_UNWITNESSED": "待各见证可达后再试，或由人担保 | try again once witnesses answer, or vouch: --unwitnessed",
    "REVIEW_DONE": "查看结论：bridgehead oversight sample --reviewed | see it: bridgehead oversight sample --reviewed",
    "REVIEW_SELF": "由另一名民警复核 | another officer reviews it, naming themselves: --officer, --key",
    "REVIEW_UNKNOWN": "核对查询号：bridgehead oversight sample | see which: bridgehead oversight sample",
    "REVIEW_WORDS": "写成一行、不要太长：--words | one line, not too long: --words",
    "REVIEW_WORDS_MISSING": "写明核查情况：--words | say what was checked: --words",
    "REVOKED_SERIAL": "改正 tls/agency-revoked.txt | one serial in hex a line: tls/agency-revoked.txt",
    "ROTATION_MISSING": "先开始更换：bridgehead keys rotate | begin it first: bridgehead keys rotate",
    "ROTATION_RUNNING": "先完成上一次更换：--finish | finish the one that runs: bridgehead keys rotate --finish",
    "ROW": "每行写一个对象 | give one object a row",
    "SAME_PERSON": "两人各用各的密钥 | two persons, each with a key of their own",
    "SAMPLE_OTHER": "重写核对表，--of-each 须相同 | write the sheet anew, with the same --of-each",
    "SAMPLE_ROW": "填相符、不符或无卷宗 | mend that row: matches, differs or no_file",
    "SECOND_OTHER": "由原查询单位催问 | the agency that asked reminds",
    "SERVER_CERTIFICATE": _NETWORK,
    "SERVER_CERTIFICATE_ENDED": _ENDED,
    "SETTINGS": "改正 node.toml 或环境变量：bridgehead node config | mend node.toml or the environment",
    "SIGNATURE_FORM": "用本人密钥重新签字：--key | sign again with your own key: --key",
    "SLOW_READER": "再运行一次，从已收处继续 | run it again: it goes on behind what came",
    "STEP_UP_FORM": "用本人密钥重新签名：--key | sign again with your own key: --key",
    "STORE_MISSING": "先启动一次节点：bridgehead node serve --home | start the node once: bridgehead node serve --home",
    "STORE_MODE": "只许本人读：chmod 600 文件 | let nobody else read it: chmod 600 FILE",
    "SYNTHETIC_COUNTY": "换一个户籍县 | take another county of household",
    "TEXT_FORM": "统一写法：间隔号用 ·，不用全角空格 | in one form: NFC, U+00B7 as the dot, plain spaces",
    "TEXT_UNSEEN": "删去看不见的字符，重新输入 | type the text anew: it holds a character that nobody sees",
    "USCC_CHECKSUM": _CODE,
    "USCC_CLASS": _CODE,
    "USCC_DIVISION": _CODE,
    "USCC_FORM": _CODE,
    "USCC_LENGTH": _CODE,
    "VEHICLE_PERMIT": "核对居住证：有效，且为所有人本人的 | the permit must be valid and the keeper's own",
    "VERSION_CONFLICT": "别人刚改过：先查看再办 | somebody just changed it: look at it, then do it again",
}
FIELD_STEPS: Final[Mapping[str, str]] = {
    "case_id": NEXT_STEPS["CASE_ID"],
    "citizen_number": NEXT_STEPS["CITIZEN_NUMBER_FORM"],
    "correction_id": NEXT_STEPS["CORRECTION_UNKNOWN"],
    "counties": "六位区划代码，如 330822:--county | a code of six digits, such as 330822: --county",
    "leader": "领导的化名用字母、数字、- 或 _:--leader | a pseudonym of letters, digits, - and _: --leader",
    "letter": NEXT_STEPS["CASE_LETTER"],
    "lookup_id": NEXT_STEPS["LOOKUP_UNKNOWN"],
    "officer": NEXT_STEPS["OFFICER"],
    "request_id": NEXT_STEPS["INTAKE_UNKNOWN"],
    "words": "写一句话说明：--words | say why in one sentence: --words",
}
"""By the field that is not of its form (FIELD_RULE), as it is named in a message."""


_VERIFIERS: Final = frozenset(
    {"agreement", "alert hand-in", "audit verify", "keys admit", "node check", "policy check", "report unite"}
)
"""Commands that judge what they are given: what is malformed in it is their answer, not a fault of who typed."""
_KEPT_OFFLINE: Final = (
    "节点恢复前，签收和时点可存入本地文件：alert claim、alert stamp --offline FILE，恢复后：alert hand-in FILE"
    " | until it is back a claim or a stamp is kept in a local file: alert claim, alert stamp --offline FILE;"
    " then alert hand-in FILE"
)
_NOT_THERE: Final = frozenset({
    "ACT_UNKNOWN", "AGENCY_PROFILE", "ALERT_KIND_UNKNOWN", "CASE_NAME", "DUTY_AREA", "DUTY_COUNTY", "DUTY_DESK",
    "FEDERATION_FILE", "FIGURE_UNKNOWN", "FILE_MISSING", "PROCEDURE_UNKNOWN", "PURPOSE_UNKNOWN",
})  # fmt: skip
"""What was named on the command line and is nowhere, or no word of its list."""
_OF_A_FOLDER: Final = frozenset(
    {"AGREEMENT_FORM", "AGREEMENT_MISSING", "HOME_MISSING", "PROVINCE_MISSING", "STORE_MISSING"}
)
_FOLDERS: Final = frozenset({"--agreement", "--from", "--home", "--policies"})
_FROM_AFAR: Final = frozenset({"ANSWER_COUNT", "ANSWER_FORM"})


def exit_code(error: BridgeheadError, given: Sequence[str] = ()) -> int:
    """3 when something is unreachable, 2 when what was typed is not of its form or names nothing, else 1."""
    if isinstance(error, UnavailableError):
        return 3
    if not _NOT_THERE.isdisjoint({error.reason, error.facts.get("why")}) or (
        error.reason in _OF_A_FOLDER and _is_nowhere(given)
    ):
        return 2
    judged = not _VERIFIERS.isdisjoint({*given[:1], " ".join(given[:2])})
    return 2 if isinstance(error, MalformedError) and not judged and error.reason not in _FROM_AFAR else 1


def _is_nowhere(given: Sequence[str]) -> bool:
    """True when a folder was typed that is not there: that is a slip, whatever a command found missing in it."""
    words = [half for word in given for half in word.split("=", 1)]
    named = (value for option, value in pairwise(words) if option in _FOLDERS)
    return any(not Path(value).expanduser().exists() for value in named)


def find_next_steps(error: BridgeheadError, given: Sequence[str] = ()) -> tuple[str, ...]:
    """Finds what to do next, one line a step, for why it may not be done before the reason; none when nothing works.

    `given` is what was typed: a part that goes on without its node says how.
    """
    step = NEXT_STEPS.get(str(error.facts.get("why", ""))) or NEXT_STEPS.get(error.reason)
    step = _field_step(error) if error.reason == "FIELD_RULE" else step
    step = step and step.replace("{option}", str(error.facts.get("option", "")))
    retry = None
    if isinstance(error, UnavailableError) and "request_id" in error.facts:
        retry = retry_step(str(error.facts["request_id"]))
    is_away = isinstance(error, UnavailableError) and given[:1] == ["alert"] and "--offline" not in given
    if step is not None or retry is not None:
        return tuple(filter(None, (step, retry, _KEPT_OFFLINE if is_away else None)))
    if isinstance(error, UnavailableError):
        return ("稍后再试 | try again later",)
    if isinstance(error, CorruptError):
        return ("停止办理，立即联系节点管理员 | stop, and call the node's operator",)
    return ()


def _field_step(error: BridgeheadError) -> str:
    """About the field itself, whatever it lies in: `act.officer`, `counties[0]`."""
    field = str(error.facts.get("field", "")).rpartition(".")[2].partition("[")[0]
    return FIELD_STEPS.get(field, NEXT_STEPS["FIELD_RULE"])


def find_rule_steps(policies: Iterable[str]) -> tuple[str, ...]:
    rules = [name.removeprefix("rule-") for name in policies if name.startswith("rule-")]
    reasons = dict.fromkeys(name.upper().replace("-", "_") for name in rules)
    return tuple(NEXT_STEPS[reason] for reason in reasons if reason in NEXT_STEPS)


def find_refusal_steps(policies: Sequence[str]) -> tuple[str, ...]:
    """Finds what to do next after any no of policy: by the rule, else by what the no itself says must be otherwise."""
    usual = next((each for each in (DEFAULT_DENY, POLICY_ERROR, _UNRELATED) if each in policies), "policy-refused")
    if any(each.endswith("function-not-held") for each in policies):  # nothing that the office could mend itself
        usual = "function-not-held"
    return find_rule_steps(policies) or find_rule_steps([f"rule-{usual}"])


def retry_step(request_id: str) -> str:
    """Returns how to repeat it: under the same id it is done once, whatever became of the first try."""
    option = f"--request-id {request_id}"
    return (
        f"没有丢失任何内容。稍后用同一命令加 {option} 重试，只办一次"
        f" | nothing was lost: run the same command with {option}, it is done once"
    )
