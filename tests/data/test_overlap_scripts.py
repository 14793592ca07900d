# ruff: noqa: RUF001
"""Overlap in languages that do not separate words, and no change in those that do."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmap.data.overlap import NgramHasher, OverlapIndex, question_ngrams, words

#: Language -> a benchmark question, and another text of the same length or longer.
QUESTIONS = {
    "Chinese": (
        "一个水池有两个进水管，单开甲管需要六小时注满，单开乙管需要四小时注满，两管同开需要多久？",
        "请介绍一下长城的历史，并说明它为什么被列为世界文化遗产，字数不少于三百字，语言要生动。",
    ),
    "traditional Chinese": (
        "小明買了三本書，每本書的價格是二十五元，他付了一百元，請問應該找回多少元？",
        "請寫一封信給你的老師，感謝他這一年來的教導，並祝他身體健康，萬事如意。",
    ),
    "Japanese": (
        "太郎さんはりんごを五個持っていて、花子さんから三個もらいました。全部で何個ですか。",
        "東京から京都まで新幹線で行く方法を、初めて日本を訪れる人のために説明してください。",
    ),
    "katakana": (
        "コンピュータプログラミングトレーニングコースノートブックハードウェア",
        "アイスクリームチョコレートケーキレストランメニューインターネットカフェ",
    ),
    "Thai": (
        "สมชายมีแอปเปิ้ลห้าผลและได้รับเพิ่มอีกสามผลเขามีแอปเปิ้ลทั้งหมดกี่ผล",
        "ช่วยแนะนำสถานที่ท่องเที่ยวในจังหวัดเชียงใหม่สำหรับครอบครัวหน่อยครับ",
    ),
    "Lao": (
        "ສົມຊາຍມີໝາກໂປມຫ້າໜ່ວຍແລະໄດ້ຮັບອີກສາມໜ່ວຍລາວມີທັງໝົດຈັກໜ່ວຍ",
        "ກະລຸນາແນະນໍາສະຖານທີ່ທ່ອງທ່ຽວໃນນະຄອນຫຼວງວຽງຈັນສໍາລັບຄອບຄົວແດ່",
    ),
    "Khmer": (
        "សុខមានផ្លែប៉ោមប្រាំហើយទទួលបានបីទៀតតើគាត់មានផ្លែប៉ោមទាំងអស់ប៉ុន្មាន",
        "សូមណែនាំកន្លែងទេសចរណ៍ក្នុងខេត្តសៀមរាបសម្រាប់គ្រួសារមួយបានទេ",
    ),
    "Burmese": (
        "မောင်မောင်မှာပန်းသီးငါးလုံးရှိပြီးသုံးလုံးထပ်ရသည်စုစုပေါင်းဘယ်နှစ်လုံးရှိသလဲ",
        "ရန်ကုန်မြို့ရှိလည်ပတ်စရာနေရာများကိုမိသားစုအတွက်အကြံပေးပါ",
    ),
    "Chinese with numbers": (
        "小红有15个苹果，小明给了她27个苹果，她又吃掉3个，请问小红现在有多少个苹果？",
        "请用Python写一个函数，输入为列表，输出为列表中所有偶数的和，并写出3个测试例子。",
    ),
    "Cantonese": (
        "阿明有十五粒糖，佢俾咗三粒細佬，又買多咗八粒，請問佢而家總共有幾多粒糖呢？",
        "唔該你講吓點樣由中環搭車去赤柱，要幾多錢，同埋幾點有車，有咩好食？",
    ),
    "hiragana": (
        "たろうくんはりんごをいつつもっていましたそのあとみっつもらいましたいくつですか",
        "はじめてにほんにくるともだちにきょうとのおすすめのばしょをおしえてください",
    ),
    "Shan": (
        "ၸၢႆးမိူင်းမီးမၢၵ်ႇဢႅပ်ႉပိူဝ်ႇႁႃႈဢၼ်သေလႆႈထႅင်ႈသၢမ်ဢၼ်မီးတင်းမူတ်းၵႃႈႁိုဝ်",
        "ၶႅၼ်းတေႃႈလၢတ်ႈၽွင်ႈၼႂ်းဝဵင်းတူၼ်ႈတီးမီးတီႈဢႅဝ်ႇသင်ၽွင်ႈတႃႇၽူႈၵူၼ်းမႂ်ႇ",
    ),
    "Javanese": (
        "ꦱꦸꦤꦤ꧀ꦤꦢꦸꦮꦺꦄꦥꦺꦭ꧀ꦭꦶꦩꦭꦤ꧀ꦏꦮꦺꦤꦺꦲꦤ꧀ꦠꦼꦭꦸꦩꦤꦺꦲꦥꦶꦫꦏꦧꦺꦲꦺ",
        "ꦥꦤꦸꦭꦶꦱꦤ꧀ꦲꦏ꧀ꦱꦫꦗꦮꦲꦶꦏꦸꦥꦶꦪꦺꦕꦫꦤꦺꦠꦸꦭꦸꦁꦠꦼꦫꦔ꧀ꦤꦏꦺꦏꦛꦶꦕꦼꦠ",
    ),
    "with LaTeX": (
        "已知$x^2+3x-4=0$，求方程的两个根之和，并说明理由，结果用最简分数表示出来。",
        "设函数$f(x)=\\ln x$，证明它在定义域内单调递增，并画出它的图像，标出零点。",
    ),
    "mixed with English": (
        "已知函数f(x)=2x+1在区间[0,3]上连续，求该函数的最大值与最小值之差是多少？",
        "请把下面的句子翻译成英文：机器学习是人工智能的一个重要分支，应用广泛。",
    ),
}
#: Hashes by the code before characters counted, of the text in the last test.
EARLIER = [
    "14104301662970598688",
]
by_language = pytest.mark.parametrize("language", QUESTIONS)


def index(*questions, n=13, share=0.5):
    ids = [f"q{i}" for i in range(len(questions))]
    return OverlapIndex(question_ngrams(ids, questions, n), n, share)


@by_language
def test_a_copied_question_is_found_in_a_longer_prompt(language):
    asked, _ = QUESTIONS[language]
    prompt = f"Please answer carefully: {asked} Write the steps."
    assert index(asked).find([prompt]) == "q0"
    assert index(asked).find([f"请回答：{asked}谢谢"]) == "q0"


@by_language
def test_another_text_is_not_the_question(language):
    asked, other = QUESTIONS[language]
    assert index(asked).find([other]) is None
    assert len(words(other)) >= 13


@by_language
def test_spaces_breaks_and_full_width_forms_do_not_hide_a_question(language):
    asked, _ = QUESTIONS[language]
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in asked)
    breaks = {"\n", "\u200b", "\u3000"}
    assert index(asked).find([f"> {wide}"]) == "q0"
    for character in breaks:
        middle = next(
            i
            for i in range(len(asked) // 2, len(asked))
            if unicodedata.category(asked[i])[0] == "L" and not asked[i].isascii()
        )
        assert index(asked).find([asked[:middle] + character + asked[middle:]]) == "q0"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("小明有15个苹果，GSM8K。", "小 明 有 15 个 苹 果 gsm8k"),
        ("か\uff9eと\u304b\u3099", "\u304c と \u304c"),
        ("ラーメン々〇", "ラ ー メ ン 々 〇"),
        ("น้ำ", "น้ํ า"),
        ("မြန်မာ", "မြ န် မာ"),
        ("한국어 문장", "한국어 문장"),
        ("Ｇｏ！今", "go 今"),
        ("他a_b", "他 a_b"),
        ("。、「」・", ""),
        ("\u4e00\ufe00\u4e8c", "\u4e00 \u4e8c"),
    ],
)
def test_words_of_such_scripts_are_characters_with_their_marks(text, expected):
    assert words(text) == expected.split()


def of_today(text):
    """Words as they were counted for every script before: a second implementation."""
    return re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())


SPACED = st.characters(max_codepoint=0x0DFF) | st.characters(
    min_codepoint=0x2000, max_codepoint=0x2BFF
)


@given(st.text(SPACED, max_size=60))
def test_texts_that_separate_words_have_the_words_that_they_had(text):
    assert words(text) == of_today(text)


def test_the_hashes_of_an_english_text_are_those_of_earlier_releases():
    text = "Natalia sold 48 clips; how_many did she sell in May? x² + café_1, Ω."
    assert [str(h) for h in NgramHasher(13).hashes(words(text))] == EARLIER
    assert words(text) == of_today(text)


@given(st.text(SPACED, max_size=60))
def test_one_chinese_sign_changes_no_word_around_it(text):
    assert words(f"{text} \u6709") == [*of_today(text), "\u6709"]
