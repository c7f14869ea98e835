"""The kinds of records in binary workbooks, by the names of their specifications ([MS-XLS] 2.3.2 and [MS-XLSB] 2.3.2,
there with Brt before).

Belongs here: names. Plain numbers rather than an enumeration: they are compared for every record of a sheet, a million
times in a large one.
"""


class Biff8:
    """.xls. Of BIFF3 and BIFF4 the formulas, which some writers still put into BIFF5."""

    FORMULA = 0x0006
    FORMULA_3 = 0x0206
    FORMULA_4 = 0x0406
    EOF = 0x000A
    HEADER = 0x0014
    FOOTER = 0x0015
    LBL = 0x0018
    NOTE = 0x001C
    DATE_1904 = 0x0022
    EXTERN_NAME = 0x0023
    FILE_PASS = 0x002F
    FONT = 0x0031
    CONTINUE = 0x003C
    CRN = 0x005A
    FILE_SHARING = 0x005B
    WRITE_ACCESS = 0x005C
    COL_INFO = 0x007D
    BOUND_SHEET_8 = 0x0085
    PUB = 0x0089
    FILTER_MODE = 0x009B
    SCENARIO = 0x00AF
    MUL_RK = 0x00BD
    MUL_BLANK = 0x00BE
    R_STRING = 0x00D6
    DB_CELL = 0x00D7
    XF = 0x00E0
    MERGE_CELLS = 0x00E5
    MSO_DRAWING_GROUP = 0x00EB
    MSO_DRAWING = 0x00EC
    SST = 0x00FC
    LABEL_SST = 0x00FD
    EXT_SST = 0x00FF
    SUP_BOOK = 0x01AE
    CF = 0x01B1
    D_VAL = 0x01B2
    TXO = 0x01B6
    H_LINK = 0x01B8
    DV = 0x01BE
    BLANK = 0x0201
    NUMBER = 0x0203
    LABEL = 0x0204
    BOOL_ERR = 0x0205
    STRING = 0x0207
    ROW = 0x0208
    ARRAY = 0x0221
    RK = 0x027E
    FORMAT = 0x041E
    SHR_FMLA = 0x04BC
    H_LINK_TOOLTIP = 0x0800
    BOF = 0x0809
    XF_EXT = 0x087D
    STYLE_EXT = 0x0892
    NAME_CMT = 0x0894
    HEADER_FOOTER = 0x089C
    SERIES_TEXT = 0x100D
    SER_AUX_ERR_BAR = 0x105B


class Biff12:
    """.xlsb. A cell has a long form, and most a short one, which stands `SHORT` further: right of the cell before,
    without a column."""

    ROW_HDR = 0
    CELL_BLANK = 1
    CELL_RK = 2
    CELL_ERROR = 3
    CELL_BOOL = 4
    CELL_REAL = 5
    CELL_ST = 6
    CELL_ISST = 7
    FMLA_STRING = 8
    FMLA_NUM = 9
    FMLA_BOOL = 10
    FMLA_ERROR = 11
    SHORT = 11
    SHORT_BLANK = 12
    SHORT_ISST = 18
    SST_ITEM = 19
    NAME = 39
    FONT = 43
    XF = 47
    COL_INFO = 60
    CELL_R_STRING = 62
    D_VAL = 64
    WB_PROP = 153
    BUNDLE_SH = 156
    BEGIN_A_FILTER = 161
    MERGE_CELL = 176
    BEGIN_SUP_BOOK = 360
    ARR_FMLA = 426
    SHR_FMLA = 427
    BEGIN_CONDITIONAL_FORMATTING = 461
    BEGIN_CF_RULE = 463
    BEGIN_HEADER_FOOTER = 479
    H_LINK = 494
    BEGIN_CELL_XFS = 617
    END_CELL_XFS = 618
    COMMENT_AUTHOR = 632
    BEGIN_COMMENT = 635
    COMMENT_TEXT = 637
