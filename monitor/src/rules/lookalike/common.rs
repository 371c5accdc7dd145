//! Words of everyday English, which are names that nobody had to make up.

/// Shortest and longest word below.
const LENGTHS: std::ops::RangeInclusive<usize> = 4..=9;

/// Nouns, verbs and adjectives, without those that end in `ing`, `ed`, `er` or `s` and come of another one here.
const COMMON: &[&str] = &[
    "able acid acorn actor acute adapt adopt adore adult advance advice after again agate agile agree ahead alarm album \
     alert alien alive alley alliance allow alone along aloud alpine alter amateur amazing amber ambition ample anchor \
     angel anger angle animal anime ankle annual answer antique apart appeal appear apron arctic arena argue arise armor \
     army aroma arrow artist aside aspect asset atlas attic author autumn avenue avoid awake award aware away awful axis",
    "baby back bacon badge badger bagel baker balance balcony ball ballet balloon bamboo banana band banner barber bare \
     bargain bark barley barn barrel base basic basil basin basket bass batch bath battery battle beach bead beam bean \
     bear beard beast beat beauty beaver become bedroom beef beer before begin behave behind belief bell belly belong \
     below belt bench bend berry best better beyond bike bind birch bird birth birthday bishop bite bitter black blade \
     blame blank blanket blast blaze blend bless blind blink bliss block blonde blood bloom blossom blow blush board \
     boast boat body boil bold bolt bomb bond bone bonnet book boom boost booth border bore born borrow boss bother \
     bottle bottom bounce bound bowl brain brake branch brand brass brave bread break breast breath breeze brew brick \
     bride bridge brief bright bring broad broken bronze brook broom brother brown brush bubble bucket buddy budget \
     buffalo build bulb bull bullet bundle bunny burden burn burst bush busy butcher butter button buyer",
    "cabin cabinet cable cactus cafe cage cake call calm camel camera camp canal candle candy cannon canoe canvas canyon \
     captain caravan carbon cargo carpet carrot carry carve case casino cast castle casual catch cattle cause cave \
     ceiling cell cellar cement central century cereal chain chair chalk chamber champion chance change channel chapel \
     chapter charge charity charm chart chase cheap cheek cheer cheese chef cherry chess chest chew chicken chief child \
     chill chimney chip chocolate choice chorus church cider cigar cinema circle circus citizen city civic civil claim \
     class classic clay clean clear clerk clever cliff climate climb clinic clip cloak clock close cloth cloud clover \
     clown club coach coal coast coat cobra coconut coffee cold collar collect college colony color colour column comb \
     combat comedy comet comfort comic common compact compass compete complete concert concord concrete conduct cone \
     contest control cook cool copper copy coral cord core cork corn corner correct cosmic cost cottage cotton couch cough \
     count country couple courage course court cousin cover cowboy crab cradle craft crane crash crater crazy cream \
     create creek crew cricket crime crisp critic crop cross crow crowd crown cruise crumb crush crystal cube culture \
     curb cure curious curl current curse curtain curve cushion custom cute cycle cyclone",
    "daily dairy daisy damage dance danger dare dark dart dash data date daughter dawn deal dear debate decade decide deck \
     decline deep deer defend define degree delay delight deliver delta demand dense dental depart depend deputy derby \
     desert design desire dessert detail detect device devil diamond diary diet differ digest digital dinner direct \
     dirt disc discard disco discover discovery dish distant ditch dive divide dock docket doctor dollar dolphin donate \
     donkey donor door double dough dove down dozen draft dragon drain drama draw dream dress drift drill drink drive \
     drone drop drug drum dryer duck duel dune dust duty dwarf dynamic",
    "eager eagle early earn earth ease east easter easy echo eclipse edge edit editor effect effort eight either elastic \
     elbow elder elect elegant element elephant eleven elite else embrace emerald emotion empire employ empty enemy \
     energy engage engine enjoy enough ensure enter entire entry envelope envy epic episode equal equip erase error \
     escape essay estate eternal ethics even evening ever every evil exact exam example excel except excite excuse exile \
     exist exit exotic expand expect expert explain explode explore export expose extend extra fabric face fact factory \
     fade faith fake falcon fall false fame family famous fancy fantasy farm fashion fast father fault favor fear \
     feather feature feed feel fellow fence fern ferry festival fetch fever fiber fiction field fierce fifty fight figure \
     film filter final finance finch fine finger finish fire firm first fish fist fitness five flag flame flash flat \
     flavor fleet flesh flex flight flip float flock flood floor flora flour flow flower fluid flute focus foil fold folk \
     follow food fool foot force forest forever forge forget fork form formal formula fort fortune forty forward fossil \
     foster fountain four fox frame free freedom freeze fresh friend fringe frog front frost fruit fuel full fun funny fury \
     future gadget galaxy gallery gallop game gamma gang gap garage garden garlic gate gather gauge gear gender gene \
     general genius gentle ghost giant giggle ginger giraffe girl give glacier glad glance glass glide global globe glory \
     glove glow glue goal goat golden golf good goose gorilla gossip govern grace grade grain grand grant grape graph grass \
     gravity great grid grief grill grip grocery ground grow guard guess guest guide guitar habit hair half hall hammer \
     hamster hand handle happen happy harbor hard harm harmony harvest hatch hate have hawk hazard head heal health heap \
     hear heart heat heaven heavy hedge height hello helmet herb herd heritage hero hidden high highway hill hint hip hire \
     history hobby hockey hold hole holiday hollow holy honest honey honor hood hook hope horizon horn horror horse \
     hospital host hotel hour house hover human humble humor hundred hunger hunt hurry hurt husband hybrid",
    "icon idea ideal idle image imagine impact import impulse inch include increase index indoor infant inform injury \
     inner input insect inside inspire instant intact interest invent invite iron island issue item ivory jacket jaguar \
     jail jazz jean jelly jewel join joke journal journey judge juice jump jungle junior jury just keen keep kick kidney \
     kind king kingdom kiss kitchen kite kitten knee knife knight knit knock knot know label labor ladder lady lake lamp \
     land lane language laptop large laser last later latin laugh launch laundry lawn lawyer layer lazy lead leader leaf \
     league lean leap least leather leave lecture left legacy legal legend lemon lend length lens leopard lesson letter \
     level lever liberty library license life lift light like lily limb lime line lion liquid list listen little liver \
     lizard load loan lobby lobster local lock lodge loft logic lonely long look loop loose lord lose lotion lottery loud \
     lounge love lovely loyal lucky lumber lunar lunch lung luxury lyric machine magazine magic magnet maiden main major \
     make mango manner manor mansion manual maple marble march margin marine mark marker market marriage marry marsh mask \
     mass master match mate matrix matter meadow meal mean measure meat medal media medic medium meet mellow melody melon \
     melt member memory mental mention menu mercy merge merit merry metal meteor method middle midnight might mild mile \
     milk mill mind mine mineral minor mint minute miracle mirror miss mist mix moan mobile model modern modest moment \
     monk monkey monster month mood moon moral more morning mosaic moss most mother motion motor mountain mouse mouth move \
     movie much mule muscle museum mushroom music must mutual myth nail naked name napkin narrow nation native nature near \
     neat neck need needle nerve nest network neutral never nice night noble noise none noodle normal north nose note \
     nothing notice novel nurse oasis object oblige obtain ocean octopus odor offer office often olive once onion only open \
     opera opinion oppose optic option orange orbit orchard order organ orient origin orphan other otter outdoor outer \
     output outside oval oven over owner oxygen oyster",
    "pace pack paddle page pain paint pair palace palm panda panel panic panther paper parade parent park parrot part party \
     pass past pasta patch path patient patrol pattern pause pave peace peach peak peanut pear pearl pedal peel pencil \
     people pepper perfect permit person phase phone photo phrase piano pick picnic picture piece pig pigeon pill pillow \
     pilot pine pink pioneer pipe pistol pitch pizza place plain plan planet plant plastic plate play please pledge plenty plot \
     plug plum plus poem poet point polar pole police polish polite pond pony pool poor popular port portion position \
     possible post potato pottery pouch pound powder power practice praise predict prefer prepare present pretty prevent \
     price pride primary prime prince print priority prison private prize problem process produce profit program project \
     promise promote proof proper prosper protect proud provide public pulp pulse pumpkin punch pupil puppy purchase pure \
     purple purpose purse push puzzle pyramid quality quantum quarter queen quest question quick quiet quilt quit quiz \
     quote rabbit raccoon race rack radar radio radium rail rain raise rally ramp ranch random range rank rapid rare rate \
     rather raven razor reach react read real reason rebel recall receive recipe record recycle reduce reflect reform \
     refuse region regret regular relax release relief rely remain remember remind remove render renew rent repair repeat \
     replace report rescue resist resource response rest result retire retreat return reunion reveal review revolt reward \
     rhythm ribbon rice rich ride ridge rifle right rigid ring riot ripple rise risk ritual rival river road roast robot \
     robust rock rocket role roll romance roof rookie room root rose rotate rough round route royal rubber rude rule runway \
     rural rush rust",
    "sadness saddle safe sail salad salmon salon salt salute same sample sand satisfy sauce sausage save scale scan scare \
     scatter scene scheme school science scissors scorpion scout scrap screen script scrub search season seat second secret \
     section seed seek segment select sell seminar senior sense sentence series serve session settle seven shadow shaft \
     shallow shape share shark sharp shed sheep sheet shelf shell sheriff shield shift shine ship shiver shock shoe shoot \
     shop shore short shoulder shout shove show shower shrimp shrug shut sibling sick side siege sight sign signal silent \
     silk silly silver similar simple since sing single sister size skate sketch skill skin skirt skull slack slab slam \
     slave sleep slender slice slide slight slim slip slogan slot slow small smart smell smile smoke smooth snack snake snap \
     snow soap soccer social sock soda soft solar soldier solid solution solve someone song soon sorry sort soul sound soup \
     source south space spare spark spatial spawn speak special speed spell spend sphere spice spider spike spin spirit \
     split spoil sponsor spoon sport spot spray spread spring square squeeze squirrel squire stable stack stadium staff stage \
     stain stair stake stamp stand star stare start state station statue stay steak steal steam steel stem step stereo stick \
     still sting stock stomach stone stool stop store storm story stove strap straw stream street strength stress stretch \
     stride strike string strip stroke strong student stuff style subject subway success sudden suffer sugar suggest suit \
     summer sunny sunset super supply supreme sure surface surge surprise surround survey suspect sustain swallow swamp swan \
     swap swarm swear sweet swift swim swing switch sword symbol symptom syrup system table tackle tactic tail talent talk \
     tank tape target task taste taxi teach team tell temple tenant tennis tent term test text thank that theme then theory \
     there thick thin thing think third thorn thought thousand three thrive throw thumb thunder ticket tide tiger tight tile \
     timber time tiny tire tissue title toast tobacco today toddler together toilet token tomato tomorrow tone tongue tonight \
     tool tooth topic topple torch tornado tortoise total touch tough tour toward tower town trace track trade traffic tragic \
     trail train transfer trap trash travel tray treat tree trend trial tribe trick trigger trim trip trophy trouble truck \
     true truly trumpet trust truth tube tuition tumble tuna tunnel turkey turn turtle twelve twenty twice twin twist type \
     typical ugly umbrella unable uncle under undo unfair unfold unhappy uniform unique unit universe unknown unlock until \
     unusual upgrade uphold upon upper upset urban urge usage used useful useless usual utility vacant vacuum vague valid \
     valley valve vanish vapor various vast vault vehicle velvet vendor venture venue verb verse version very vessel veteran \
     viable vibrant vicious victory video view village vintage violin virtual virus visa visit visual vital vivid vocal voice \
     void volcano volume vote voyage wage wagon wait walk wall walnut want warfare warm warrior wash wasp waste water wave way \
     wealth weapon wear weasel weather wedding week weekend weird welcome west whale what wheat wheel when where whip whisper \
     wide width wife wild will window wine wing wink winner winter wire wisdom wise wish witness wolf woman wonder wood wool \
     word work world worry worth wrap wreck wrestle wrist write wrong yard year yellow young youth zebra zero zone",
];

/// Endings by which one word comes of another.
const ENDINGS: &[&str] = &["ing", "ed", "er", "s"];

/// Whether these letters are a word that everybody knows, and that does not come of `name`.
pub(super) fn is_common(letters: &str, name: &str) -> bool {
    let has = |word: &str| word != name && LENGTHS.contains(&word.len()) && SORTED.binary_search(&word).is_ok();
    let comes_of = |ending: &str| {
        let Some(stem) = letters.strip_suffix(ending) else { return false };
        let doubled = stem.bytes().rev().take(2).collect::<Vec<_>>();
        let single = stem.get(..stem.len().saturating_sub(1)).unwrap_or_default();
        // `strip`, `stripe` and `stripper` are near one another, and of neither it is known which was meant.
        let of_name = [stem, single].contains(&name) || name.strip_suffix('e') == Some(stem);
        let is_doubled = matches!(doubled[..], [a, b] if a == b);
        !of_name && (has(stem) || has(&format!("{stem}e")) || is_doubled && has(single))
    };
    has(letters) || ENDINGS.iter().any(|ending| comes_of(ending))
}

/// All of them, to be searched.
static SORTED: std::sync::LazyLock<Vec<&str>> = std::sync::LazyLock::new(|| {
    let mut words: Vec<&str> = COMMON.iter().flat_map(|row| row.split_ascii_whitespace()).collect();
    words.sort_unstable();
    words.dedup();
    words
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_words_and_what_comes_of_them() {
        for (word, name) in [
            ("stack", "slack"),
            ("cooking", "booking"),
            ("locker", "docker"),
            ("moving", "roving"),
            ("planned", "planted"),
        ] {
            assert!(is_common(word, name), "{word}");
        }
        for (word, name) in [
            ("stripe", "stripe"),
            ("striped", "stripe"),
            ("paypal", "paypa"),
            ("booker", "book"),
            ("ing", "i"),
            ("", ""),
        ] {
            assert!(!is_common(word, name), "{word}");
        }
    }

    #[test]
    fn the_words_are_plain() {
        let plain = |word: &&str| word.bytes().all(|octet| octet.is_ascii_lowercase());
        assert!(SORTED.iter().all(plain) && SORTED.len() > 1500);
    }
}
