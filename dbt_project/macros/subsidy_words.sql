{# An amount as an account says it: from 10,000 yuan up in 万元 to two decimals, half up; below, to the cent. No sign. #}
{% macro yuan_in_words(amount) -%}
    case
        when abs({{ amount }}) >= 10000
            then cast(cast({{ half_up_quotient(
                hundredths('abs(' ~ amount ~ ')'), '10000'
            ) }} as decimal(38, 0)) * 0.01 as decimal(38, 2)) || ' 万元'
        else {{ plain_number('cast(abs(' ~ amount ~ ') as decimal(38, 2))') }} || ' 元'
    end
{%- endmacro %}

{# What a row of mart_subsidy_reconciliation says, as the bureau would put it to the finance department. #}
{% macro reconciliation_words() -%}
    case
        when status = 'withheld' then '不予公布：计入 ' || coverage_n || '/' || expected_n
        else
            '应发 ' || {{ yuan_in_words('due_yuan') }} || '，实发 ' || {{ yuan_in_words('paid_yuan') }}
            || case
                when arrears_recomputed_yuan > 0 then '，本期欠发 ' || {{ yuan_in_words('arrears_recomputed_yuan') }}
                when arrears_recomputed_yuan < 0 then '，本期多发 ' || {{ yuan_in_words('arrears_recomputed_yuan') }}
                else '，本期无欠发'
            end
            || case
                when arrears_total_yuan is null then ''
                when arrears_total_yuan = 0 then '；累计无欠发'
                else
                    case when arrears_total_yuan > 0 then '；累计欠发 ' else '；累计多发 ' end
                    || {{ yuan_in_words('arrears_total_yuan') }}
                    || case
                        when arrears_carried_yuan > 0
                            then '（其中以前年度结转 ' || {{ yuan_in_words('arrears_carried_yuan') }} || '）'
                        when arrears_carried_yuan < 0
                            then '（以前年度多发 ' || {{ yuan_in_words('arrears_carried_yuan') }} || '已抵减）'
                        else ''
                    end
            end
            || case
                when arrears_total_yuan is null and arrears_in_year_yuan > 0
                    then '；本年累计欠发 ' || {{ yuan_in_words('arrears_in_year_yuan') }}
                when arrears_total_yuan is null and arrears_in_year_yuan < 0
                    then '；本年累计多发 ' || {{ yuan_in_words('arrears_in_year_yuan') }}
                when arrears_total_yuan is null and arrears_in_year_yuan = 0 then '；本年累计无欠发'
                else ''
            end
            || case when arrears_total_yuan is null then '；累计数不全（' || arrears_unknown_because || '）' else '' end
            || case
                when arrears_unexplained_yuan != 0
                    then
                        '；填报的拖欠比应发减实发' || case when arrears_unexplained_yuan > 0 then '多 ' else '少 ' end
                        || {{ yuan_in_words('arrears_unexplained_yuan') }}
                else ''
            end
            || case
                when entitled_yuan is null then '；没有可比的规定标准'
                when due_over_entitled_yuan != 0
                    then
                        '；应发比规定' || case when due_over_entitled_yuan > 0 then '多 ' else '少 ' end
                        || {{ yuan_in_words('due_over_entitled_yuan') }}
                        || '（标准' || case when price_effect_yuan < 0 then '少 ' else '多 ' end
                        || {{ yuan_in_words('price_effect_yuan') }}
                        || '，人数月数' || case when quantity_effect_yuan < 0 then '少 ' else '多 ' end
                        || {{ yuan_in_words('quantity_effect_yuan') }} || '）'
                else ''
            end
            || case when paid_order_broken != '' then '；档次倒挂：' || paid_order_broken else '' end
            || case when claim_schools_n > 0 then '；疑似重复享受：' || claim_schools else '' end
            || case when missing_areas != '' then '；缺 ' || missing_areas else '' end
    end
{%- endmacro %}
