-- Of any return: are its numbers made up (more round ones than chance allows), do they stand in another unit than those
-- of the period before? Amounts are whole numbers of the smallest unit: cents, tenths of heads.
with power (factor, factor_name) as (
    values
    (100, '百'), (1000, '千'), (10000, '万'), (1000000, '百万'), (100000000, '亿')
),

number as (
    select
        filing.return_code,
        filing.county_code,
        filing.period,
        filing.submission_id,
        filing.before_period,
        number.sheet,
        number.source_row,
        number.row_key,
        number.column_name,
        number.number
    from {{ source('landing', 'reported_number') }} as number
    inner join {{ ref('int_asked_filing') }} as filing
        on
            number.submission_id = filing.submission_id
            and number.screening_seq = filing.screening_seq
            and number.return_code = filing.return_code
            and number.county_code = filing.county_code
            and number.period = filing.period
    where number.number > 0
),

declared_column as (
    select *
    from {{ source('declared', 'check_column') }}
    where of_member = ''
),

-- Columns that add up, and those that the rule names besides.
column_of_unit as (
    select *
    from declared_column
    where
        is_additive
        or exists (
            select 1
            from {{ source('declared', 'check_parameter') }} as also
            where
                also.return_code = declared_column.return_code
                and also.question = 'unit'
                and also.name = 'also'
                and also.word = declared_column.column_name
        )
),

pair as (
    select
        number.*,
        earlier.number as earlier_number,
        cast(number.number as double) / earlier.number as ratio
    from number
    inner join column_of_unit
        on number.return_code = column_of_unit.return_code and number.column_name = column_of_unit.column_name
    inner join number as earlier
        on
            number.return_code = earlier.return_code
            and number.county_code = earlier.county_code
            and number.before_period = earlier.period
            and number.row_key = earlier.row_key
            and number.column_name = earlier.column_name
),

column_pair as (
    select
        return_code,
        county_code,
        period,
        submission_id,
        column_name,
        count(*) as pairs_n,
        median(ratio) as middle_ratio,
        sum(number) as number,
        sum(earlier_number) as earlier_number,
        {{ rows_summed() }}
    from pair
    group by return_code, county_code, period, submission_id, column_name
),

-- The power of ten by which the figure in the middle is off, nearly; and whether most others are within a factor of
-- about three of it.
off as (
    select
        column_pair.return_code,
        column_pair.county_code,
        column_pair.period,
        column_pair.column_name,
        column_pair.pairs_n,
        power.factor,
        power.factor_name,
        column_pair.middle_ratio > 1 as is_too_large,
        case when column_pair.middle_ratio > 1 then power.factor else 1.0e0 / power.factor end as times
    from column_pair
    inner join power
        on
            abs(column_pair.middle_ratio / power.factor - 1) <= 0.2e0
            or abs(column_pair.middle_ratio * power.factor - 1) <= 0.2e0
),

agreed as (
    select
        off.return_code,
        off.county_code,
        off.period,
        off.column_name,
        off.factor,
        off.factor_name,
        off.is_too_large
    from off
    inner join pair
        on
            off.return_code = pair.return_code
            and off.county_code = pair.county_code
            and off.period = pair.period
            and off.column_name = pair.column_name
    group by
        off.return_code,
        off.county_code,
        off.period,
        off.column_name,
        off.factor,
        off.factor_name,
        off.is_too_large,
        off.pairs_n
    having count(*) filter (where pair.ratio / off.times between 1.0e0 / 3 and 3) >= 0.8e0 * off.pairs_n
),

unit as (
    select
        column_pair.*,
        agreed.factor is not null as is_off,
        cast(column_pair.number as decimal(38, 0)) * declared_column.smallest as value,
        cast(column_pair.earlier_number as decimal(38, 0)) * declared_column.smallest as expected,
        case
            when not agreed.is_too_large
                then
                    '疑似以' || agreed.factor_name || declared_column.unit || '填报（相差约 '
                    || cast(agreed.factor as string) || ' 倍）'
            when agreed.factor = 100 and declared_column.unit = '元' then '疑似以分填报（相差约 100 倍）'
            else '疑似放大了约 ' || cast(agreed.factor as string) || ' 倍'
        end as detail
    from column_pair
    inner join {{ source('declared', 'check_parameter') }} as least
        on
            column_pair.return_code = least.return_code
            and least.question = 'unit'
            and least.name = 'rows'
            and column_pair.pairs_n >= least.value
    inner join declared_column
        on
            column_pair.return_code = declared_column.return_code
            and column_pair.column_name = declared_column.column_name
    left join agreed
        on
            column_pair.return_code = agreed.return_code
            and column_pair.county_code = agreed.county_code
            and column_pair.period = agreed.period
            and column_pair.column_name = agreed.column_name
),

-- Money where a return has any, else what is counted; without what the rule leaves out.
column_of_round as (
    select declared_column.*
    from declared_column
    where
        (declared_column.type = 'money' or (declared_column.type = 'count' and declared_column.is_additive))
        and not exists (
            select 1
            from {{ source('declared', 'check_parameter') }} as left_out
            where
                left_out.return_code = declared_column.return_code
                and left_out.question = 'round_numbers'
                and left_out.name = 'without'
                and left_out.word = declared_column.column_name
        )
    qualify
        declared_column.type = 'money'
        or not bool_or(declared_column.type = 'money') over (partition by declared_column.return_code)
),

round_parameter as (
    select
        return_code,
        max(case when name = 'multiple' then value end) as multiple,
        max(case when name = 'least' then value end) as least,
        max(case when name = 'cells' then value end) as cells,
        max(case when name = 'share' then value end) as most_share
    from {{ source('declared', 'check_parameter') }}
    where question = 'round_numbers'
    group by return_code
),

round_filing as (
    select
        number.return_code,
        number.county_code,
        number.period,
        number.submission_id,
        round_parameter.multiple,
        round_parameter.cells,
        round_parameter.most_share,
        count(*) as cells_n,
        count(*) filter (
            where number.number % cast(round_parameter.multiple * column_of_round.units_in_one as bigint) = 0
        ) as round_n
    from number
    inner join column_of_round
        on number.return_code = column_of_round.return_code and number.column_name = column_of_round.column_name
    inner join round_parameter
        on
            number.return_code = round_parameter.return_code
            and number.number * column_of_round.smallest >= round_parameter.least
    group by
        number.return_code,
        number.county_code,
        number.period,
        number.submission_id,
        round_parameter.multiple,
        round_parameter.cells,
        round_parameter.most_share
)

{{ asked("'unit'", 'unit', 'is_off', place='rows', row_label="'各行合计'", subject="''", column_name='column_name',
    value='value', expected='expected', detail='detail') }}
union all
{{ asked(
    "'round_numbers'", 'round_filing', 'round_n > most_share * cells_n',
    condition="cells_n >= cells and not exists (
        select 1 from unit
        where
            unit.is_off
            and unit.return_code = round_filing.return_code
            and unit.county_code = round_filing.county_code
            and unit.period = round_filing.period
    )",
    value=whole_quotient('round_n * 1000', 'cells_n') ~ ' * 0.1',
    expected=whole_quotient('1000', 'cast(multiple as bigint)') ~ ' * 0.1',
    detail="cast(cells_n as string) || ' 个数中有 ' || cast(round_n as string) || ' 个'"
) }}
