/** The emoji shortcodes that bots and people use here; others are shown as `:name:`. */

import { art } from "./emoji-art.js";

const TABLE = `
+1 👍|-1 👎|thumbsup 👍|thumbsdown 👎|white_check_mark ✅|heavy_check_mark ✔️|x ❌|warning ⚠️|no_entry ⛔
|no_entry_sign 🚫|rotating_light 🚨|fire 🔥|snowflake ❄️|ice_cube 🧊|rocket 🚀|ship 🚢|tada 🎉|eyes 👀|pray 🙏
|lock 🔒|unlock 🔓|closed_lock_with_key 🔐|key 🔑|calendar 📅|date 📅|spiral_calendar_pad 🗓️|clock1 🕐|clock3 🕒
|hourglass ⌛|hourglass_flowing_sand ⏳|alarm_clock ⏰|stopwatch ⏱️|timer_clock ⏲️|bell 🔔|no_bell 🔕
|chart_with_upwards_trend 📈|chart_with_downwards_trend 📉|bar_chart 📊|pushpin 📌|round_pushpin 📍|paperclip 📎
|link 🔗|memo 📝|pencil 📝|pencil2 ✏️|page_facing_up 📄|clipboard 📋|bookmark 🔖|bookmark_tabs 📑|books 📚|book 📖
|bug 🐛|wrench 🔧|hammer 🔨|hammer_and_wrench 🛠️|gear ⚙️|package 📦|label 🏷️|mag 🔍|bulb 💡|battery 🔋
|low_battery 🪫|zap ⚡|boom 💥|ambulance 🚑|fire_engine 🚒|construction 🚧|vertical_traffic_light 🚦|traffic_light 🚥
|red_circle 🔴|large_red_circle 🔴|large_orange_circle 🟠|large_yellow_circle 🟡|large_green_circle 🟢
|large_blue_circle 🔵|large_purple_circle 🟣|white_circle ⚪|black_circle ⚫|red_square 🟥|large_red_square 🟥
|large_orange_square 🟧|large_yellow_square 🟨|large_green_square 🟩|large_blue_square 🟦|white_large_square ⬜
|black_large_square ⬛|small_red_triangle 🔺|small_red_triangle_down 🔻|arrow_up ⬆️|arrow_down ⬇️|arrow_right ➡️
|arrow_left ⬅️|arrow_upper_right ↗️|arrow_lower_right ↘️|repeat 🔁|arrows_counterclockwise 🔄|rewind ⏪
|fast_forward ⏩|double_vertical_bar ⏸️|pause_button ⏸️|arrow_forward ▶️|black_square_for_stop ⏹️|checkered_flag 🏁
|triangular_flag_on_post 🚩|shield 🛡️|speech_balloon 💬|mega 📣|loudspeaker 📢|wave 👋|clap 👏|muscle 💪|ok_hand 👌
|raised_hands 🙌|raised_hand ✋|point_right 👉|heart ❤️|green_heart 💚|blue_heart 💙|broken_heart 💔|star ⭐|sparkles ✨|sunny ☀️
|cloud ☁️|partly_sunny ⛅|thunder_cloud_and_rain ⛈️|thinking_face 🤔|slightly_smiling_face 🙂|smile 😄|grin 😁|joy 😂
|sweat_smile 😅|sob 😭|scream 😱|see_no_evil 🙈|robot_face 🤖|ghost 👻|coffee ☕|beers 🍻|pizza 🍕|seedling 🌱
|octagonal_sign 🛑|stop_sign 🛑|question ❓|exclamation ❗|grey_question ❔|information_source ℹ️|new 🆕|up 🆙
|heavy_plus_sign ➕|heavy_minus_sign ➖|100 💯|one 1️⃣|two 2️⃣|three 3️⃣|busts_in_silhouette 👥|bust_in_silhouette 👤
|credit_card 💳|shopping_trolley 🛒|earth_africa 🌍|satellite_antenna 📡|test_tube 🧪|microscope 🔬|control_knobs 🎛️
|level_slider 🎚️|balance_scale ⚖️|scales ⚖️|compass 🧭|world_map 🗺️|thermometer 🌡️|ok 🆗|sos 🆘|wastebasket 🗑️
`;

const EMOJI = new Map(
  TABLE.split("|").map((row) => {
    const [name, sign] = row.trim().split(" ");
    return [name, sign];
  }),
);

/** The sign of a shortcode as text, or the shortcode itself with its colons. */
export const sign = (name) => EMOJI.get(name) ?? `:${name}:`;

/** A shortcode drawn: the page's own drawing, the system's sign, or the bare shortcode. */
export const emoji = (name) => art(name) ?? sign(name);

/** Reactions that are offered first. */
export const QUICK = ["+1", "eyes", "white_check_mark", "tada", "pray"];
