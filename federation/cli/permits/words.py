"""The Chinese words beside the English ones: fields, states, reasons, papers. One table for screens and for files.

Source: 居住证暂行条例 articles 2, 4, 9, 10; the names of the columns that county registers use.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from federation.domain.citizen_number import Sex
from federation.domain.permit import Ground, Paper, PermitStatus, RevokeReason
from federation.domain.recognition import RecognitionMode, RecognitionOutcome, RecognitionReason

FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "urn": "居住证编号",
        "version": "版本",
        "status": "状态",
        "holder_name": "姓名",
        "sex": "性别",
        "ethnicity": "民族",
        "birth_date": "出生日期",
        "citizen_number": "公民身份号码",
        "photo_digest": "照片摘要",
        "household_division": "户籍地",
        "household_address": "户籍地址",
        "residence_division": "居住地",
        "residence_address": "居住地址",
        "work_division": "工作地",
        "issuer": "签发机关",
        "ground": "居住事由",
        "residence_since": "居住起始日",
        "apply_date": "申请日期",
        "accept_date": "受理日期",
        "issue_date": "签发日期",
        "counted_from": "年限起算日",
        "endorsed_until": "签注有效至",
        "papers": "提交材料",
        "guardian": "监护人代办",
        "sealed": "封存",
    }
)
"""By field, in the order in which a card shows them."""

STATUSES: Final = MappingProxyType(
    {
        PermitStatus.VALID: "有效",
        PermitStatus.ENDORSEMENT_OPEN: "有效,可以签注",
        PermitStatus.SUSPENDED: "已中止使用功能",
        PermitStatus.REVOKED: "已注销",
        PermitStatus.REPLACED: "已换发",
    }
)
SEXES: Final = MappingProxyType({Sex.MALE: "男", Sex.FEMALE: "女"})
GROUNDS: Final = MappingProxyType(
    {Ground.JOB: "合法稳定就业", Ground.DWELLING: "合法稳定住所", Ground.STUDY: "连续就读"}
)
PAPERS: Final = MappingProxyType(
    {
        Paper.IDENTITY_CARD: "居民身份证",
        Paper.PHOTO: "相片",
        Paper.RESIDENCE_PROOF: "居住地住址证明",
        Paper.GROUND_PROOF: "就业、住所或就读证明",
        Paper.GUARDIAN_IDENTITY: "监护人身份证明",
    }
)
REVOKE_REASONS: Final = MappingProxyType(
    {
        RevokeReason.LEFT: "已离开",
        RevokeReason.HOUSEHOLD_MOVED: "户口已迁入",
        RevokeReason.DECEASED: "死亡",
        RevokeReason.FRAUD: "骗领",
        RevokeReason.OWN_REQUEST: "本人申请",
    }
)
MODES: Final = MappingProxyType({RecognitionMode.CARD: "按证互认", RecognitionMode.TIME: "按居住时间互认"})
OUTCOMES: Final = MappingProxyType(
    {
        RecognitionOutcome.RECOGNISED_FULL: "全部互认",
        RecognitionOutcome.RECOGNISED_PART: "部分互认",
        RecognitionOutcome.REFUSED: "不予互认",
    }
)
REASONS: Final = MappingProxyType(
    {
        RecognitionReason.CARD_VALID: "居住证有效",
        RecognitionReason.SERVICES_LIMITED: "协议只开放部分服务",
        RecognitionReason.HALF_YEAR_REACHED: "居住已满半年",
        RecognitionReason.TIME_CREDITED: "居住未满半年,天数已计入",
        RecognitionReason.MODE_NOT_AGREED: "协议未启用这种互认方式",
        RecognitionReason.NO_SERVICES_AGREED: "协议未开放任何服务",
        RecognitionReason.NOT_YET_ISSUED: "签发日期未到",
        RecognitionReason.NO_TIME: "没有可以计入的居住时间",
        RecognitionReason.PERMIT_SUSPENDED: "居住证已中止使用功能",
        RecognitionReason.PERMIT_REVOKED: "居住证已注销",
        RecognitionReason.PERMIT_REPLACED: "居住证已换发",
    }
)
