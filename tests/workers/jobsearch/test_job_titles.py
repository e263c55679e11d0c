"""The table of job titles: what it may be, which line is told when it is none, and that a process reads it once."""

import csv
import io
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder
from hypothesis import given
from hypothesis import strategies as st

from config.settings import JobsearchSettings, SettingsError
from workers.jobsearch import job_titles
from workers.jobsearch.job_titles import SHIPPED, TitlesFileError, parse

KOK = "http://data.europa.eu/esco/occupation/3d4a3e9f-8c3e-4c3b-8d8a-4a5f6e7d8b94"
HEADER = "conceptUri,preferredLabel\n"


@pytest.fixture(autouse=True)
def _anew():
    job_titles._read.cache_clear()
    yield
    job_titles._read.cache_clear()


def test_the_default_table_has_labels():
    table = job_titles.current(JobsearchSettings())
    assert table[KOK] == "kok"
    assert all(uri.startswith("http://") and label == label.strip() for uri, label in table.items())


def test_the_default_table_is_in_the_wheel(project):
    shipped = {Path(one.distribution_path) for one in WheelBuilder(str(project)).recurse_included_files()}
    assert SHIPPED.relative_to(project) in shipped


@pytest.mark.parametrize(
    "text",
    [
        HEADER + "a:1,kok\n",
        "# a remark, with a comma\n#another\n" + HEADER + "a:1,kok",
        "\ufeff" + HEADER + "a:1,kok\n",
        "conceptUri,preferredLabel\r\na:1,kok\r\n",
        HEADER + "\na:1, kok \n\n",
        HEADER + "a:1,kok\na:1,kok\n",
        'conceptType,conceptUri,iscoGroup,preferredLabel,altLabels\nOccupation,a:1,5120,kok,"mester\nkokkeelev"\n',
        'preferredLabel,conceptUri\n"kok",a:1\n',
    ],
)
def test_a_table_is_csv_with_a_header_that_names_two_of_its_columns(text):
    assert parse(text.encode()) == {"a:1": "kok"}


def test_a_label_may_hold_commas_and_quotes_and_is_one_line():
    assert parse((HEADER + 'a:1,"kok, ""a la\n  carte"""\n').encode()) == {"a:1": 'kok, "a la carte"'}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "1: the header does not name a column conceptUri once"),
        ("# remark\n", "1: the header does not name a column conceptUri once"),
        ("# remark\nconceptUri\na:1\n", "2: the header does not name a column preferredLabel once"),
        ("conceptUri,preferredLabel,preferredLabel\n", "1: the header does not name a column preferredLabel once"),
        (HEADER, "1: no row follows the header"),
        ("# remark\n" + HEADER + "\n", "2: no row follows the header"),
        (HEADER + "a:1,kok\na:2\n", "3: the row has 1 fields, and the header 2"),
        (HEADER + "a:1,kok\n# remark\n", "3: the row has 1 fields, and the header 2"),
        (HEADER + "a:1,kok,5120\n", "2: the row has 3 fields, and the header 2"),
        (HEADER + 'a:1,"kok\nmester"\na:2, \n', "4: the row has no preferredLabel"),
        (HEADER + " ,kok\n", "2: the row has no conceptUri"),
        (HEADER + "a:1," + "x" * 301 + "\n", "2: the label has 301 characters, and at most 300 may be"),
        (HEADER + "a:1,kok\na:2,tjener\na:1,gartner\n", "4: the concept a:1 has another label in a row before"),
        (HEADER + 'a:1,kok\na:2,"tjener\n', "3: this is no CSV: unexpected end of data"),
        (HEADER + 'a:1,"kok"x\n', "2: this is no CSV: ',' expected after '\"'"),
    ],
)  # fmt: skip
def test_a_table_that_is_refused_names_the_line(text, told):
    with pytest.raises(TitlesFileError) as caught:
        parse(text.encode())
    assert str(caught.value) == told


def test_a_table_that_is_not_utf_8_or_too_long_is_refused():
    with pytest.raises(TitlesFileError, match=r"^2: the file is not UTF-8$"):
        parse(HEADER.encode() + "a:1,pædagog\n".encode("latin-1"))
    with pytest.raises(TitlesFileError, match=r"^1: the file has 33554433 bytes, and at most 33554432 are read$"):
        parse(b"#" * (32 * 1024**2 + 1))


def test_the_error_of_a_file_that_is_set_names_setting_file_and_line(tmp_path):
    path = tmp_path / "titles.csv"
    path.write_text(HEADER + "a:1\n")
    with pytest.raises(SettingsError) as caught:
        job_titles.current(JobsearchSettings(titles_file=path))
    told = f"REGISTERBRO_JOBSEARCH__TITLES_FILE: {path}:2: the row has 1 fields, and the header 2"
    assert str(caught.value) == told


def test_a_file_that_is_not_there_is_told():
    with pytest.raises(SettingsError, match="TITLES_FILE: cannot be read: No such file or directory"):
        job_titles.current(JobsearchSettings(titles_file="/no/such/file"))


def test_the_file_that_is_set_takes_the_place_of_the_default_one_and_is_read_once(tmp_path):
    path = tmp_path / "titles.csv"
    path.write_text(HEADER + "a:1,kok\n")
    settings = JobsearchSettings(titles_file=path)
    assert job_titles.current(settings) == {"a:1": "kok"}
    path.write_text("no table any more")
    assert job_titles.current(settings) == {"a:1": "kok"}


WORDS = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\u2028\u2029"), min_size=1, max_size=20
)


@given(
    st.dictionaries(
        WORDS.map(str.strip).filter(bool), WORDS.map(lambda text: " ".join(text.split())).filter(bool), min_size=1
    )
)
def test_what_a_csv_writer_writes_is_read_as_it_was(table):
    written = io.StringIO(newline="")
    csv.writer(written).writerows([("conceptUri", "preferredLabel"), *table.items()])
    assert parse(written.getvalue().encode()) == table
